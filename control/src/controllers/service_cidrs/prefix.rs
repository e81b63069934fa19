//! An address block.

use std::net::IpAddr;

/// `ADDRESS/BITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The first `bits` of the address, as a number.
    base: u128,
    bits: u32,
    is_ipv6: bool,
}

impl Prefix {
    /// From its text; `None` if it is no block.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let (value, width) = number(address);
        let is_ipv6 = width == 128;
        let base = (bits <= width).then(|| cut(value, width - bits))?;
        Some(Self { base, bits, is_ipv6 })
    }

    /// Whether the address is inside.
    pub fn has(&self, address: IpAddr) -> bool {
        let (value, width) = number(address);
        self.is_ipv6 == (width == 128) && cut(value, width - self.bits) == self.base
    }

    /// Whether all of the other block is inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.is_ipv6 == other.is_ipv6
            && self.bits <= other.bits
            && cut(other.base, other.bits - self.bits) == self.base
    }
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// Without the last bits.
fn cut(value: u128, bits: u32) -> u128 {
    value.checked_shr(bits).unwrap_or(0)
}
