//! Configuration of the agent, made by the `keelson` binary.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use keelson_runtime::node::NodeConfig;

/// What the agent needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Node name.
    pub node_name: String,
    /// Node's internal address.
    pub node_ip: IpAddr,
    /// Kubeconfig of the node.
    pub kubeconfig: PathBuf,
    /// `/var/lib/kubelet`'s counterpart: pod directories and volumes.
    pub root_dir: PathBuf,
    /// CRI log directory, `/var/log/pods`' counterpart.
    pub log_dir: PathBuf,
    /// Image store directory.
    pub image_dir: PathBuf,
    /// The runtime.
    pub runtime: NodeConfig,
    /// netd's socket.
    pub netd_socket: PathBuf,
    /// Where the server listens (10250). Port 0 takes a free one, which the Node object then names.
    pub listen: SocketAddr,
    /// CA bundle that signs clients of the server (PEM).
    pub client_ca: PathBuf,
    /// Serving certificate (PEM).
    pub tls_cert: PathBuf,
    /// Serving key (PEM).
    pub tls_key: PathBuf,
    /// Address of the cluster DNS service.
    pub cluster_dns: IpAddr,
    /// Cluster domain.
    pub cluster_domain: String,
    /// Host resolver configuration for `dnsPolicy: Default`.
    pub resolv_conf: PathBuf,
    /// Most pods this node takes (110).
    pub max_pods: u32,
    /// Go on, without limits, where the host lacks cgroup v2 controllers.
    pub allow_missing_cgroups: bool,
}
