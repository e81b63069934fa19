//! This machine as a Node object: registration, status, heartbeats.

pub mod cgroups;
mod facts;
mod heartbeat;
mod images;
mod lease;
mod status;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

pub use facts::Facts;
pub use heartbeat::Heartbeat;

use crate::pod::admission::Capacity;

/// What the rest of the kubelet needs to know of the node; cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    /// Name.
    pub name: Arc<str>,
    /// Addresses, primary first.
    pub ips: Arc<[IpAddr]>,
    /// Memory in bytes.
    pub memory: u64,
    capacity: Arc<RwLock<Capacity>>,
}

impl NodeHandle {
    /// A handle from the machine's facts.
    pub fn new(name: &str, ip: IpAddr, facts: &Facts, max_pods: u32) -> Self {
        let capacity = Capacity {
            allocatable: status::allocatable_millis(facts),
            max_pods: max_pods as usize,
            labels: BTreeMap::default(),
        };
        Self {
            name: name.into(),
            ips: [ip].into(),
            memory: facts.memory,
            capacity: Arc::new(RwLock::new(capacity)),
        }
    }

    /// What can be given to pods.
    pub fn capacity(&self) -> Capacity {
        self.capacity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes the labels that the API has.
    pub fn set_labels(&self, labels: Option<BTreeMap<String, String>>) {
        let mut capacity = self.capacity.write().unwrap_or_else(PoisonError::into_inner);
        capacity.labels = labels.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
