//! What is remembered of one connected pod.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::client::{AttachRequest, HostPort};

/// One pod's addresses and everything needed to rebuild its rules after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// Pod UID.
    pub(crate) pod_uid: String,
    /// Pod namespace.
    pub(crate) namespace: String,
    /// Pod name.
    pub(crate) name: String,
    /// Pinned network namespace.
    pub(crate) netns: PathBuf,
    /// Addresses, primary first.
    pub(crate) ips: Vec<IpAddr>,
    /// Interface on the node.
    pub(crate) interface: String,
    /// Published ports.
    pub(crate) host_ports: Vec<HostPort>,
}

impl Lease {
    /// The lease that answers `request`.
    pub(crate) fn new(request: &AttachRequest, ips: Vec<IpAddr>, interface: String) -> Self {
        Self {
            pod_uid: request.pod_uid.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            netns: request.netns.clone(),
            ips,
            interface,
            host_ports: request.host_ports.clone(),
        }
    }

    /// MAC address in the pod: derived from the primary address, so unique on the node and stable.
    pub(crate) fn pod_mac(&self) -> [u8; 6] {
        mac(0x0a, self.ips.first().copied())
    }

    /// MAC address of the node's end of the pair.
    pub(crate) fn host_mac(&self) -> [u8; 6] {
        mac(0x0e, self.ips.first().copied())
    }
}

/// A locally administered unicast address: `first`, 0x58, and the last four bytes of `ip`.
fn mac(first: u8, ip: Option<IpAddr>) -> [u8; 6] {
    let [a, b, c, d] = match ip {
        Some(IpAddr::V4(v4)) => v4.octets(),
        Some(IpAddr::V6(v6)) => {
            let o = v6.octets();
            [o[12], o[13], o[14], o[15]]
        }
        None => [0; 4],
    };
    [first, 0x58, a, b, c, d]
}

/// Text form of a MAC address.
pub(crate) fn format_mac(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}
