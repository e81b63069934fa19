//! Which connections lead where they should not.

use std::collections::HashSet;
use std::net::IpAddr;

use super::entry::Entry;
use crate::cidr::Cidr;
use crate::nft::Family;
use crate::service::{Frontend, Place, Ruleset};

/// What a connection is judged by.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    /// Where every frontend leads now.
    pub(crate) ruleset: &'a Ruleset,
    /// Frontends that have just been removed.
    pub(crate) removed: &'a HashSet<Frontend>,
    /// Addresses in these ranges are Services' or nobody's.
    pub(crate) service_cidrs: &'a [Cidr],
    /// Served by the node itself.
    pub(crate) dns_ip: IpAddr,
}

impl Judge<'_> {
    /// Whether a UDP connection was made for a frontend that leads elsewhere by now: its endpoint is not one of the
    /// frontend's, the frontend is gone, or it was not translated at all, though it should have been.
    pub(super) fn is_stale(&self, entry: &Entry, is_local: impl Fn(IpAddr) -> bool) -> bool {
        let (asked, answers) = (entry.original.destination, entry.reply.source);
        let frontend = |place| Frontend {
            family: Family::of(asked.ip()),
            place,
            protocol: entry.original.protocol,
            port: asked.port(),
        };
        let (vip, node) = (frontend(Place::Vip(asked.ip())), frontend(Place::Node));
        if let Some(target) = self.ruleset.get(&vip) {
            return !target.endpoints.contains(&answers);
        }
        if let Some(target) = self.ruleset.get(&node) {
            return is_local(asked.ip()) && !target.endpoints.contains(&answers);
        }
        let range = asked.ip() != self.dns_ip && self.service_cidrs.iter().any(|c| c.contains(asked.ip()));
        let gone =
            range || self.removed.contains(&vip) || (self.removed.contains(&node) && is_local(asked.ip()));
        gone && answers != asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::entry::Tuple;
    use crate::service::{Claim, Key, Otherwise, Target};

    fn ruleset(endpoints: &[&str]) -> Ruleset {
        let mut ruleset = Ruleset::default();
        let target = Target {
            endpoints: endpoints.iter().map(|e| e.parse().unwrap()).collect(),
            affinity: None,
            masquerade: false,
            otherwise: Otherwise::Reject,
        };
        let at = |place, port| Frontend {
            family: Family::V4,
            place,
            protocol: 17,
            port,
        };
        let claim = Claim {
            external: false,
            created: 0,
        };
        let vip = Place::Vip("10.43.0.5".parse().unwrap());
        let wanted = vec![
            (at(vip, 53), claim.clone(), target.clone()),
            (at(Place::Node, 30053), claim, target),
        ];
        ruleset.update(&Key::new("a", "b"), wanted);
        ruleset
    }

    fn entry(asked: &str, answers: &str) -> Entry {
        let client = "10.42.0.9:40000".parse().unwrap();
        let asked = asked.parse().unwrap();
        Entry {
            original: Tuple {
                source: client,
                destination: asked,
                protocol: 17,
            },
            reply: Tuple {
                source: answers.parse().unwrap(),
                destination: client,
                protocol: 17,
            },
            raw_original: vec![],
            zone: None,
        }
    }

    #[test]
    fn only_what_leads_elsewhere() {
        let rules = ruleset(&["10.42.0.2:53", "10.42.0.3:53"]);
        let judge = Judge {
            ruleset: &rules,
            removed: &HashSet::new(),
            service_cidrs: &["10.43.0.0/16".parse().unwrap()],
            dns_ip: "10.43.0.10".parse().unwrap(),
        };
        let stale =
            |asked, answers| judge.is_stale(&entry(asked, answers), |ip| ip == IpAddr::from([192, 0, 2, 2]));
        assert!(!stale("10.43.0.5:53", "10.42.0.2:53"));
        assert!(stale("10.43.0.5:53", "10.42.0.4:53"), "endpoint gone");
        assert!(stale("10.43.0.5:53", "10.43.0.5:53"), "never translated");
        assert!(
            stale("192.0.2.2:30053", "192.0.2.2:30053"),
            "node port, never translated"
        );
        assert!(
            !stale("198.51.100.1:30053", "198.51.100.1:30053"),
            "somebody else's port"
        );
        assert!(stale("10.43.0.6:53", "10.42.0.4:53"), "Service gone");
        assert!(!stale("10.43.0.10:53", "10.43.0.10:53"), "cluster DNS");
        assert!(!stale("198.51.100.1:53", "10.42.0.4:53"), "no frontend of ours");
    }
}
