//! Configuration of the daemon, made by the `keelson` binary.

use std::net::IpAddr;
use std::path::PathBuf;

/// What the daemon needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Cluster id on this host, e.g. `kl3f2a`: prefix of interface names (bridge `ID-br`, at most 15 bytes in all)
    /// and of nftables tables (`keelson-ID`).
    pub id: String,
    /// Node name.
    pub node_name: String,
    /// Kubeconfig of the node.
    pub kubeconfig: PathBuf,
    /// Unix socket to listen on, mode 0600.
    pub socket: PathBuf,
    /// State directory (IPAM leases).
    pub state_dir: PathBuf,
    /// Pod CIDRs of this node (one per address family), e.g. `10.42.0.0/24`.
    pub pod_cidrs: Vec<String>,
    /// Cluster-wide pod CIDRs: never masqueraded between.
    pub cluster_cidrs: Vec<String>,
    /// Service CIDRs.
    pub service_cidrs: Vec<String>,
    /// Address of the cluster DNS service.
    pub dns_ip: IpAddr,
    /// Cluster domain, `cluster.local`.
    pub cluster_domain: String,
    /// Node port range, inclusive.
    pub node_ports: (u16, u16),
    /// Upstream resolver configuration, normally `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}
