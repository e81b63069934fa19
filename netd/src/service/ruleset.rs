//! All frontends of all Services and where they lead; what changes when one Service does.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::Key;
use crate::nft::Family;

/// Where clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Frontend {
    /// Address family of client and endpoint.
    pub(crate) family: Family,
    /// Which address.
    pub(crate) place: Place,
    /// IP protocol number.
    pub(crate) protocol: u8,
    /// Port.
    pub(crate) port: u16,
}

/// The address part of a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A cluster IP, external IP or load balancer's address.
    Vip(IpAddr),
    /// Every address of the node.
    Node,
}

/// What happens where there is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Otherwise {
    /// TCP reset or ICMP port unreachable.
    Reject,
    /// Silence: there are endpoints, but a `Local` policy forbids them here. Other nodes answer.
    Drop,
}

/// Where a frontend leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Endpoints, sorted, each once.
    pub(crate) endpoints: Vec<SocketAddr>,
    /// Seconds that a client stays with its endpoint.
    pub(crate) affinity: Option<u32>,
    /// Whether the endpoint must see the node's address instead of the client's.
    pub(crate) masquerade: bool,
    /// When there is no endpoint.
    pub(crate) otherwise: Otherwise,
}

/// Precedence among Services that claim the same frontend, lowest first: a cluster IP before an external one (anybody
/// may write any external IP into a Service, CVE-2020-8554), then the older Service, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    /// Not by right of a cluster IP or node port.
    pub(crate) external: bool,
    /// Creation time of the Service.
    pub(crate) created: i64,
}

/// One frontend before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which.
    pub(crate) frontend: Frontend,
    /// Before; `None` when it is new.
    pub(crate) old: Option<Target>,
    /// After; `None` when it goes.
    pub(crate) new: Option<Target>,
}

type Claimed = (Claim, Key, Target);

/// Everything that the Service proxy does.
#[derive(Debug, Default)]
pub(crate) struct Ruleset {
    /// Claims of a frontend, sorted; the first is in force.
    frontends: HashMap<Frontend, Vec<Claimed>>,
    services: HashMap<Key, Vec<Frontend>>,
}

impl Ruleset {
    /// Everything in force.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Frontend, &Target)> {
        self.frontends
            .iter()
            .filter_map(|(f, claims)| Some((f, &claims.first()?.2)))
    }

    /// Where a frontend leads.
    pub(crate) fn get(&self, frontend: &Frontend) -> Option<&Target> {
        Some(&self.frontends.get(frontend)?.first()?.2)
    }

    /// Replaces what `service` asks for (nothing when it is gone) and says what that changes.
    pub(crate) fn update(&mut self, service: &Key, wanted: Vec<(Frontend, Claim, Target)>) -> Vec<Change> {
        let (key, previous) = match self.services.remove_entry(service) {
            Some((key, previous)) => (key, previous),
            None => (service.clone(), Vec::new()),
        };
        let mut changes = Vec::new();
        for frontend in previous {
            if !wanted.iter().any(|(f, ..)| *f == frontend) {
                changes.extend(self.claim(frontend, &key, None));
            }
        }
        let mut frontends = Vec::with_capacity(wanted.len());
        for (frontend, claim, target) in wanted {
            // A Service that lists a port twice gets the first.
            if !frontends.contains(&frontend) {
                frontends.push(frontend);
                changes.extend(self.claim(frontend, &key, Some((claim, target))));
            }
        }
        if !frontends.is_empty() {
            self.services.insert(key, frontends);
        }
        changes
    }

    fn claim(&mut self, frontend: Frontend, key: &Key, new: Option<(Claim, Target)>) -> Option<Change> {
        let claims = self.frontends.entry(frontend).or_default();
        let old = claims.first().map(|c| c.2.clone());
        claims.retain(|c| c.1 != *key);
        if let Some((claim, target)) = new {
            let at = claims.partition_point(|c| (&c.0, &c.1) < (&claim, key));
            claims.insert(at, (claim, key.clone(), target));
        }
        claims.shrink_to_fit();
        let new = claims.first().map(|c| c.2.clone());
        if new.is_none() {
            self.frontends.remove(&frontend);
        }
        (old != new).then_some(Change { frontend, old, new })
    }
}
