//! The kubelet's side of netd's unix socket: newline-delimited JSON requests and responses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A pod port published on the node (`hostPort`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Port on the node.
    pub host_port: u16,
    /// Port in the pod.
    pub container_port: u16,
    /// Address on the node; `None` means all.
    pub host_ip: Option<IpAddr>,
}

/// Asks for a pod to be connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Pod UID: attach is idempotent by it.
    pub pod_uid: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Path of the pinned network namespace.
    pub netns: PathBuf,
    /// Published ports.
    pub host_ports: Vec<HostPort>,
}

/// A connected pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Pod addresses, primary first.
    pub ips: Vec<IpAddr>,
    /// Host-side interface.
    pub interface: String,
    /// MAC address in the pod.
    pub mac: String,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// netd does not answer (not running, restarting): try again.
    #[error("netd at {path}: {source}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// netd refused, in its words.
    #[error("netd: {0}")]
    Refused(String),
}

/// Client of one netd; every call opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client for the daemon behind `socket`.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Connects a pod: veth pair, address, routes, published ports.
    pub async fn attach(&self, request: &AttachRequest) -> Result<Attachment, Error> {
        unimplemented!("{request:?} {:?}", self.socket)
    }

    /// Disconnects a pod and frees its addresses. Unknown pods are not an error.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), Error> {
        unimplemented!("{pod_uid}")
    }

    /// Whether the daemon answers and has loaded its tables.
    pub async fn ready(&self) -> Result<(), Error> {
        unimplemented!()
    }
}
