//! Interfaces, addresses and routes on the node and in pods.
//!
//! **Routed pods.** A pod's veth is not a bridge port. The pod has a /32 (or /128) address and a default route
//! through the node; the node has a /32 route to each pod through its veth. So every packet of a pod passes the
//! node's IP layer, and
//! - a Service reached by a pod on the same node is translated back on the way home, without `br_netfilter`;
//! - a pod cannot send from another's address: a reverse-path check tells (see `nft::pods`); it cannot answer for
//!   another's address either, since neighbour entries are permanent on both ends and nothing is learned;
//! - there is no limit of 1,023 ports, no flooding, and attaching stays as fast with a thousand pods as with one.
//!
//! The bridge `ID-br` has no ports. It is the node's own device of the cluster: it carries the gateway address of
//! the pod range and the address of cluster DNS, and the route of the Service range points to it, so that the node's
//! own connections to a Service have a source address and reach the output hook (trap 8 in network.md).

mod bridge;
mod names;
mod pod;
mod request;
mod sysctl;
mod uplink;

pub(crate) use bridge::{ensure as ensure_bridge, owned as owned_links, remove};
pub(crate) use names::{bridge as bridge_name, pod as pod_name, pod_prefix};
pub(crate) use pod::{connect, disconnect};
pub(crate) use sysctl::enable_forwarding;
pub(crate) use uplink::mtu as uplink_mtu;

/// Why a link could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A netlink request failed.
    #[error("{what}: {source}")]
    Netlink {
        /// What was being done.
        what: String,
        /// The kernel's answer.
        #[source]
        source: crate::netlink::Error,
    },
    /// A system call or file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The namespace to configure is the node's own.
    #[error("{0} is the node's own network namespace, not a pod's")]
    NodeNamespace(std::path::PathBuf),
    /// An interface is there but is not what was asked for.
    #[error("{0}")]
    Conflict(String),
}
