//! The kubelet's side of netd's unix socket: newline-delimited JSON requests and responses.
//!
//! One request, one response, one line each; a connection may carry several in turn.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The longest request or response line, in bytes. A pod with a few hundred host ports needs 30 KiB.
pub(crate) const MAX_LINE: u64 = 256 * 1024;

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

/// One line from client to daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// Connect a pod.
    Attach(AttachRequest),
    /// Disconnect a pod.
    Detach {
        /// Pod UID.
        pod_uid: String,
    },
    /// Ask whether the tables are loaded.
    Ready,
}

/// One line from daemon to client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Response {
    /// The pod is connected.
    Attached(Attachment),
    /// Done, nothing to tell.
    Done,
    /// Refused or failed, and why.
    Error(String),
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
        match self.call(&Request::Attach(request.clone())).await? {
            Response::Attached(attachment) => Ok(attachment),
            other => Err(refusal(other)),
        }
    }

    /// Disconnects a pod and frees its addresses. Unknown pods are not an error.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), Error> {
        let pod_uid = pod_uid.to_owned();
        self.done(&Request::Detach { pod_uid }).await
    }

    /// Whether the daemon answers and has loaded its tables.
    pub async fn ready(&self) -> Result<(), Error> {
        self.done(&Request::Ready).await
    }

    async fn done(&self, request: &Request) -> Result<(), Error> {
        match self.call(request).await? {
            Response::Done => Ok(()),
            other => Err(refusal(other)),
        }
    }

    async fn call(&self, request: &Request) -> Result<Response, Error> {
        self.exchange(request).await.map_err(|source| Error::Unreachable {
            path: self.socket.clone(),
            source,
        })
    }

    async fn exchange(&self, request: &Request) -> std::io::Result<Response> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        BufReader::new(stream.take(MAX_LINE))
            .read_until(b'\n', &mut answer)
            .await?;
        if answer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

fn refusal(response: Response) -> Error {
    match response {
        Response::Error(message) => Error::Refused(message),
        other => Error::Refused(format!("unexpected answer {other:?}")),
    }
}
