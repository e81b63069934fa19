//! The HTTPS server on 10250: logs, exec, attach, port-forward, stats, health.
//!
//! It knows pods only through [`PodLookup`], so that it can be tested without the pod workers. What streams travel in is
//! the crate `keelson-streams`.
//!
//! | Module | What lives there |
//! |---|---|
//! | [`tls`], [`listen`] | connections |
//! | [`auth`] | who asks, and whether they may |
//! | [`route`], [`query`] | what is asked; pure |
//! | [`logs`] | container logs |
//! | [`streams`], [`session`] | exec, attach, run |
//! | [`portforward`] | TCP into a pod |
//! | [`stats`] | usage |

mod answer;
mod auth;
mod listen;
mod logs;
mod portforward;
mod query;
mod ready;
mod route;
mod session;
mod stats;
mod streams;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::{ContainerState, NodeRuntime};

pub use listen::serve;

/// What the server asks of the rest of the kubelet.
pub trait PodLookup: Send + Sync + 'static {
    /// The pod of that namespace and name on this node, with its current status.
    fn pod(&self, namespace: &str, name: &str) -> Option<Pod>;
    /// All pods on this node.
    fn pods(&self) -> Vec<Pod>;
    /// The newest container of that name in the pod (or, with `previous`, the one before it).
    fn container(&self, pod_uid: &str, container: &str, previous: bool) -> Option<ContainerState>;
    /// Path of the CRI log file of that container instance, whether it still exists or not.
    fn log_path(&self, pod_uid: &str, container: &str, previous: bool) -> Option<PathBuf>;
}

/// What the server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// CA bundle that signs clients (PEM).
    pub client_ca: PathBuf,
    /// Serving certificate (PEM).
    pub tls_cert: PathBuf,
    /// Serving key (PEM).
    pub tls_key: PathBuf,
    /// Node name, for `/stats/summary`.
    pub node_name: String,
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    /// The bound address.
    pub address: SocketAddr,
}

/// Runs a call of the runtime off the event loop. A panic in it becomes an error of this one request.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|error| format!("internal error: {error}"))
}

/// What every request needs.
struct Context {
    node: String,
    runtime: NodeRuntime,
    pods: Arc<dyn PodLookup>,
    gate: auth::Gate,
}

#[cfg(test)]
mod tests;
