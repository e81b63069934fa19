//! Address ranges: parsing, membership, numbering of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address range in canonical form: host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Cidr {
    base: IpAddr,
    length: u8,
}

/// Why a text is not an address range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an address range such as 10.42.0.0/24")]
pub(crate) struct ParseError(String);

impl Cidr {
    /// The range that contains `address`, `length` bits long; `None` when the length exceeds the family's.
    pub(crate) fn new(address: IpAddr, length: u8) -> Option<Self> {
        let width = width(address);
        (length <= width).then(|| Self {
            base: from_bits(address, to_bits(address) & mask(width, length)),
            length,
        })
    }

    /// First address.
    pub(crate) fn base(&self) -> IpAddr {
        self.base
    }

    /// Prefix length in bits.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }

    /// Whether the range is of IPv6.
    pub(crate) fn is_ipv6(&self) -> bool {
        self.base.is_ipv6()
    }

    /// Whether `address` lies in the range (another family never does).
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_ipv6()
            && to_bits(address) & mask(width(address), self.length) == to_bits(self.base)
    }

    /// The `n`-th address of the range, `None` past its end.
    pub(crate) fn nth(&self, n: u64) -> Option<IpAddr> {
        let host_bits = width(self.base) - self.length;
        if host_bits < 64 && n >> host_bits != 0 {
            return None;
        }
        Some(from_bits(self.base, to_bits(self.base) | u128::from(n)))
    }

    /// Whether the two ranges share an address.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv6() { 128 } else { 32 }
}

fn mask(width: u8, length: u8) -> u128 {
    let all = if width == 128 {
        u128::MAX
    } else {
        (1_u128 << width) - 1
    };
    let host = width - length;
    if host == 128 { 0 } else { all >> host << host }
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_bits(family: IpAddr, bits: u128) -> IpAddr {
    match family {
        // An IPv4 value was masked to 32 bits by every caller.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(bits as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

impl FromStr for Cidr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let (address, length) = text.split_once('/')?;
            if !length.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Self::new(address.parse().ok()?, length.parse().ok()?)
        };
        parse().ok_or_else(|| ParseError(text.to_owned()))
    }
}

impl TryFrom<String> for Cidr {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_and_canonicalises() {
        assert_eq!(
            "10.42.0.7/24".parse::<Cidr>().unwrap().to_string(),
            "10.42.0.0/24"
        );
        assert_eq!("fd00::1/64".parse::<Cidr>().unwrap().to_string(), "fd00::/64");
        for bad in [
            "",
            "10.42.0.0",
            "10.42.0.0/33",
            "10.42.0.0/+8",
            "x/8",
            "fd00::/129",
            "1.2.3.4/",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_addresses() {
        let cidr: Cidr = "10.42.3.0/24".parse().unwrap();
        assert_eq!(cidr.nth(1), Some("10.42.3.1".parse().unwrap()));
        assert_eq!(cidr.nth(256), None);
        assert_eq!(
            "0.0.0.0/0".parse::<Cidr>().unwrap().nth(u64::from(u32::MAX)),
            Some("255.255.255.255".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,24}") {
            let _ = text.parse::<Cidr>();
        }

        #[test]
        fn numbers_are_of_members(bits: u32, length in 0_u8..=32, n: u64) {
            let cidr = Cidr::new(IpAddr::V4(bits.into()), length).unwrap();
            if let Some(address) = cidr.nth(n) {
                prop_assert!(cidr.contains(address));
            }
        }
    }
}
