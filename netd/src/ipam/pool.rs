//! Choosing a free address of a range.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::cidr::Cidr;

/// The node's own address in a pod range: the first after the network address.
pub(crate) fn gateway(cidr: &Cidr) -> Option<IpAddr> {
    cidr.nth(1)
}

/// One range and a position in it. Addresses are handed out in turn, so that a freed one is not used again before
/// all others have been: peers, conntrack entries and DNS caches have forgotten it by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    /// The range.
    pub(crate) cidr: Cidr,
    /// Number of the address handed out last; 0 at the beginning.
    pub(crate) cursor: u64,
}

impl Pool {
    /// The next address that is not in `used`, or `None` when the range is full.
    pub(crate) fn allocate(&mut self, used: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        let last = self.last();
        // One more try than there are leases must hit a free one, if there is any.
        let tries = (used.len() as u64).saturating_add(1).min(last.saturating_sub(1));
        let mut candidate = self.cursor;
        for _ in 0..tries {
            candidate = if candidate < 2 || candidate >= last {
                2
            } else {
                candidate + 1
            };
            let address = self.cidr.nth(candidate)?;
            if !used.contains(&address) {
                self.cursor = candidate;
                return Some(address);
            }
        }
        None
    }

    /// Number of the last usable address: IPv4 keeps the highest for broadcast.
    fn last(&self) -> u64 {
        let width = if self.cidr.is_ipv6() { 128 } else { 32 };
        let host_bits = (width - self.cidr.length()).min(62);
        let size = 1_u64 << host_bits;
        if self.cidr.is_ipv6() {
            size - 1
        } else {
            size.saturating_sub(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(cidr: &str) -> Pool {
        Pool {
            cidr: cidr.parse().unwrap(),
            cursor: 0,
        }
    }

    #[test]
    fn skips_network_gateway_and_broadcast() {
        let (mut pool, mut used) = (pool("10.42.0.0/29"), BTreeSet::new());
        while let Some(ip) = pool.allocate(&used) {
            assert!(used.insert(ip));
        }
        let all: Vec<String> = used.iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            ["10.42.0.2", "10.42.0.3", "10.42.0.4", "10.42.0.5", "10.42.0.6"]
        );
    }

    #[test]
    fn a_freed_address_waits_for_all_others() {
        let (mut pool, used) = (pool("10.42.0.0/29"), BTreeSet::new());
        let order: Vec<_> = (0..6)
            .map(|_| pool.allocate(&used).unwrap().to_string())
            .collect();
        assert_eq!(
            order,
            [
                "10.42.0.2",
                "10.42.0.3",
                "10.42.0.4",
                "10.42.0.5",
                "10.42.0.6",
                "10.42.0.2"
            ]
        );
    }

    #[test]
    fn tiny_ranges_are_full() {
        for cidr in ["10.0.0.0/32", "10.0.0.0/31", "10.0.0.0/30"] {
            let mut pool = pool(cidr);
            let first = pool.allocate(&BTreeSet::new());
            assert_eq!(first.is_some(), cidr.ends_with("30"), "{cidr}");
        }
        assert!(pool("fd00::/64").allocate(&BTreeSet::new()).is_some());
    }

    proptest! {
        /// Whatever is allocated and freed, an address in use is never handed out and none is missed.
        #[test]
        fn never_twice(length in 24_u8..31, steps in proptest::collection::vec((any::<bool>(), any::<usize>()), 0..400)) {
            let mut pool = Pool { cidr: Cidr::new("10.42.0.0".parse().unwrap(), length).unwrap(), cursor: 0 };
            let mut used = BTreeSet::new();
            let capacity = (1_usize << (32 - length)) - 3;
            for (free, which) in steps {
                if free && !used.is_empty() {
                    let victim = *used.iter().nth(which % used.len()).unwrap();
                    used.remove(&victim);
                } else if let Some(ip) = pool.allocate(&used) {
                    prop_assert!(pool.cidr.contains(ip));
                    prop_assert!(used.insert(ip));
                } else {
                    prop_assert_eq!(used.len(), capacity);
                }
            }
        }
    }
}
