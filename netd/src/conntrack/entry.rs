//! One remembered connection, read from a ctnetlink message (`nfnetlink_conntrack.h`).

use std::net::{IpAddr, SocketAddr};

use crate::netlink::find;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuple {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) protocol: u8,
}

/// A connection: as the client sent it, and as the answer comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    /// The original tuple's attribute as received: names the entry when it is deleted.
    pub(super) raw_original: Vec<u8>,
    /// Attribute of the zone, when not the default one.
    pub(super) zone: Option<Vec<u8>>,
}

const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ZONE: u16 = 18;

impl Entry {
    /// Reads an entry's attributes; `None` for what has no ports or is malformed.
    pub(super) fn parse(attributes: &[u8]) -> Option<Self> {
        let original = find(attributes, ORIGINAL)?;
        Some(Self {
            original: Tuple::parse(original)?,
            reply: Tuple::parse(find(attributes, REPLY)?)?,
            raw_original: original.to_vec(),
            zone: find(attributes, ZONE).map(<[u8]>::to_vec),
        })
    }
}

impl Tuple {
    fn parse(attributes: &[u8]) -> Option<Self> {
        let addresses = find(attributes, 1)?;
        let transport = find(attributes, 2)?;
        let port = |kind| Some(u16::from_be_bytes(find(transport, kind)?.try_into().ok()?));
        Some(Self {
            source: SocketAddr::new(address(addresses, 1, 3)?, port(2)?),
            destination: SocketAddr::new(address(addresses, 2, 4)?, port(3)?),
            protocol: *find(transport, 1)?.first()?,
        })
    }
}

fn address(attributes: &[u8], v4: u16, v6: u16) -> Option<IpAddr> {
    if let Some(bytes) = find(attributes, v4) {
        return Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?));
    }
    Some(IpAddr::from(<[u8; 16]>::try_from(find(attributes, v6)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_is_no_entry(bytes: Vec<u8>) {
            let _ = Entry::parse(&bytes);
        }
    }
}
