//! Configuration of the control plane, made by the `keelson` binary.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::encryption;
use crate::store::Servers;

/// What the control plane needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the store lives (`DIR/control`).
    pub data_dir: PathBuf,
    /// Keys and certificates (`DIR/pki`), made by [`crate::pki::ensure`].
    pub pki_dir: PathBuf,
    /// HTTPS listen address.
    pub listen: SocketAddr,
    /// Address that the `kubernetes` Service's endpoint names: where pods reach the API server.
    pub advertise: SocketAddr,
    /// Service CIDRs, primary first, e.g. `10.43.0.0/16`. The first address is the `kubernetes` Service.
    pub service_cidrs: Vec<String>,
    /// Cluster pod CIDRs, from which each node gets a `/24` (`/64` for IPv6).
    pub cluster_cidrs: Vec<String>,
    /// Address of the `kube-dns` Service.
    pub dns_ip: IpAddr,
    /// Cluster domain, `cluster.local`.
    pub cluster_domain: String,
    /// Node port range, inclusive (30000-32767).
    pub node_ports: (u16, u16),
    /// The etcd that several control planes share, instead of the store below `data_dir`.
    pub etcd: Option<Servers>,
    /// How objects are encrypted in the store.
    pub encryption: encryption::Settings,
    /// What is configured of admission plug-ins: an `AdmissionConfiguration`.
    pub admission_control_config_file: Option<PathBuf>,
    /// Whether the proxies dial addresses of this machine alone (loopback, link-local) too. For tests, whose kubelets and
    /// pods are there; otherwise whoever writes the status of a Node or Pod could reach what only this machine may.
    pub dials_loopback: bool,
}
