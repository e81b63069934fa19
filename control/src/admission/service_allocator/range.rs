//! Ranges of addresses and ports, and choosing a free one.

use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};

/// At most so many addresses of a range are given out; upstream's limit too. An IPv6 range is practically endless.
const MAX_ADDRESSES: u128 = 1 << 16;

/// A service CIDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// Whether it is IPv6.
    pub is_ipv6: bool,
    first: u128,
    count: u128,
    base: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// From `ADDRESS/BITS`; `None` if it is not one, or too small to hold an address.
    pub fn parse(cidr: &str) -> Option<Self> {
        let (address, bits) = cidr.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        let address: IpAddr = address.parse().ok()?;
        let (value, width) = number(address);
        let host = width.checked_sub(bits)?;
        let size = 1u128.checked_shl(host).unwrap_or(u128::MAX);
        let base = value & !(size - 1);
        // The network's own address, and in IPv4 its broadcast address, belong to nobody.
        let unusable = if width == 32 { 2 } else { 1 };
        let count = size.checked_sub(unusable)?.min(MAX_ADDRESSES);
        if count == 0 {
            return None;
        }
        Some(Self {
            is_ipv6: width == 128,
            first: base + 1,
            count,
            base: self::address(base, width == 128),
            bits,
        })
    }

    /// Whether the address can be given out.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (value, width) = number(address);
        (width == 128) == self.is_ipv6 && value >= self.first && value - self.first < self.count
    }

    /// An address for which `is_used` is false. The lower part is kept for those who ask for a certain address, as
    /// long as there are others (KEP-3070).
    pub fn choose(&self, is_used: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let count = self.count as u64;
        let reserved = if count < 16 {
            0
        } else {
            (count / 16).clamp(16, 256).min(count)
        };
        choose(reserved, count, |offset| !is_used(self.nth(offset))).map(|offset| self.nth(offset))
    }

    fn nth(&self, offset: u64) -> IpAddr {
        address(self.first + u128::from(offset), self.is_ipv6)
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// Whether the port is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// A port for which `is_used` is false; the lower part is kept as for addresses (KEP-3668).
    pub fn choose(self, is_used: impl Fn(u16) -> bool) -> Option<u16> {
        let count = u64::from(self.last.checked_sub(self.first)?) + 1;
        let reserved = if count < 16 {
            0
        } else {
            (count / 32).clamp(16, 128).min(count)
        };
        let nth = |offset: u64| self.first + offset as u16;
        choose(reserved, count, |offset| !is_used(nth(offset))).map(nth)
    }
}

/// The first offset that is free, from a random place in `reserved..count` on, then in `0..reserved`.
fn choose(reserved: u64, count: u64, is_free: impl Fn(u64) -> bool) -> Option<u64> {
    let upper = count - reserved;
    let start = if upper == 0 { 0 } else { random() % upper };
    let above = (0..upper).map(|step| reserved + (start + step) % upper);
    above.chain(0..reserved).find(|offset| is_free(*offset))
}

/// A random number, so that an address that was just given back is not given to the next one at once. Without
/// randomness, still a correct choice.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => 0,
    }
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

fn address(value: u128, is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        IpAddr::V6(value.into())
    } else {
        IpAddr::V4((value as u32).into())
    }
}
