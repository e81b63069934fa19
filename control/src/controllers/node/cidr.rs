//! Splits cluster address ranges into one range per node.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range that is split, e.g. `10.42.0.0/16` into `/24`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    base: u128,
    six: bool,
    /// Bits of a node's range.
    node_bits: u32,
    /// How many there are, as a power of two.
    count_bits: u32,
    used: BTreeSet<u128>,
}

/// Why a text is not a usable range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an address range of at least one /24 (IPv4) or /64 (IPv6)")]
pub struct CidrError(pub String);

impl Pool {
    /// From a cluster range.
    pub fn new(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (base, six, bits) = parse(text).ok_or_else(error)?;
        let (width, node_bits) = if six { (128, 64) } else { (32, 24) };
        // Past 2^16 nodes the pool stops; nobody has more, and searching must stay quick.
        let count_bits = u32::checked_sub(node_bits, bits).ok_or_else(error)?.min(16);
        let host = width - bits;
        let base = if host >= 128 { 0 } else { base >> host << host };
        Ok(Self {
            base,
            six,
            node_bits,
            count_bits,
            used: BTreeSet::new(),
        })
    }

    /// Marks a range as taken. One that is not of this pool is ignored.
    pub fn occupy(&mut self, text: &str) {
        if let Some((base, six, bits)) = parse(text)
            && six == self.six
            && bits == self.node_bits
            && let Some(offset) = base.checked_sub(self.base)
        {
            self.used.insert(offset >> self.shift());
        }
    }

    /// Takes the first free range.
    pub fn take(&mut self) -> Option<String> {
        let free = (0..1u128 << self.count_bits).find(|index| !self.used.contains(index))?;
        self.used.insert(free);
        let address = self.base + (free << self.shift());
        let ip = if self.six {
            IpAddr::V6(Ipv6Addr::from_bits(address))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(address).ok()?))
        };
        Some(format!("{ip}/{}", self.node_bits))
    }

    fn shift(&self) -> u32 {
        if self.six {
            128 - self.node_bits
        } else {
            32 - self.node_bits
        }
    }
}

fn parse(text: &str) -> Option<(u128, bool, u32)> {
    let (address, bits) = text.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(ip) => (bits <= 32).then(|| (u128::from(ip.to_bits()), false, bits)),
        IpAddr::V6(ip) => (bits <= 128).then(|| (ip.to_bits(), true, bits)),
    }
}
