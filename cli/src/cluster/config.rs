//! From a cluster's file to the configuration of each daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keelson_runtime::node::NodeConfig;

use super::Cluster;

/// Cluster domain. One value, as every client assumes it.
const DOMAIN: &str = "cluster.local";
/// Node port range of the field.
const NODE_PORTS: (u16, u16) = (30000, 32767);
/// The kubelet's usual port.
const KUBELET_PORT: u16 = 10250;

impl Cluster {
    /// Keys and certificates.
    pub fn pki_dir(&self) -> PathBuf {
        self.dir.join("pki")
    }

    /// Log files of the daemons when detached.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Where images are stored.
    pub fn image_dir(&self) -> PathBuf {
        image_dir(&self.dir)
    }

    /// Kubeconfig of the kubelet or of netd.
    pub fn daemon_kubeconfig(&self, daemon: &str) -> PathBuf {
        self.dir.join(format!("{daemon}.kubeconfig"))
    }

    /// The control plane's configuration.
    pub fn control(&self) -> keelson_control::Config {
        keelson_control::Config {
            data_dir: self.dir.join("control"),
            pki_dir: self.pki_dir(),
            listen: self.listen,
            advertise: self.advertise(),
            service_cidrs: vec![self.ranges.service_cidr()],
            cluster_cidrs: vec![self.ranges.cluster_cidr()],
            dns_ip: self.ranges.dns_ip(),
            cluster_domain: DOMAIN.to_owned(),
            node_ports: NODE_PORTS,
            etcd: self.etcd.as_ref().map(super::Etcd::servers),
            encryption: keelson_control::encryption::Settings::default(),
            admission_control_config_file: None,
            dials_loopback: false,
        }
    }

    /// Where pods reach the API server. Loopback is out of their reach, so a loopback listener has a second one on
    /// the bridge.
    fn advertise(&self) -> SocketAddr {
        let ip = self.listen.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            SocketAddr::new(self.ranges.first_gateway(), self.listen.port())
        } else {
            self.listen
        }
    }

    /// What certificates must name.
    pub fn pki(&self) -> keelson_control::pki::Request {
        keelson_control::pki::Request {
            api_sans: vec![
                self.listen.ip().to_string(),
                self.advertise().ip().to_string(),
                self.node_ip.to_string(),
            ],
            service_cidrs: vec![self.ranges.service_cidr()],
            cluster_domain: DOMAIN.to_owned(),
            node_name: self.node_name.clone(),
            node_ip: self.node_ip,
        }
    }

    /// The network daemon's configuration.
    pub fn netd(&self) -> keelson_netd::Config {
        netd(&self.id(), &self.dir, &self.node_name, self.ranges)
    }

    /// The node agent's configuration.
    pub fn kubelet(&self) -> keelson_kubelet::Config {
        let certificate = |suffix: &str| self.pki_dir().join(format!("kubelet-{}{suffix}", self.node_name));
        keelson_kubelet::Config {
            node_name: self.node_name.clone(),
            node_ip: self.node_ip,
            kubeconfig: self.daemon_kubeconfig("kubelet"),
            root_dir: self.dir.join("kubelet"),
            log_dir: self.dir.join("pod-logs"),
            image_dir: self.image_dir(),
            runtime: node_runtime(&self.id(), &self.dir, crate::preflight::cgroup_limits().is_ok()),
            netd_socket: self.netd().socket,
            listen: SocketAddr::new(self.node_ip, KUBELET_PORT),
            client_ca: self.pki_dir().join("ca.crt"),
            tls_cert: certificate("-server.crt"),
            tls_key: certificate("-server.key"),
            cluster_dns: self.ranges.dns_ip(),
            cluster_domain: DOMAIN.to_owned(),
            resolv_conf: "/etc/resolv.conf".into(),
            max_pods: 110,
            // `up` is for one person on one machine: it goes on without limits and says so (DESIGN.md section 2).
            allow_missing_cgroups: true,
        }
    }
}

/// Where the images of the cluster in `dir` are stored.
pub fn image_dir(dir: &Path) -> PathBuf {
    dir.join("images")
}

/// The runtime's configuration, from the id and directory alone, so that `reset` needs no readable `cluster.json`.
pub fn node_runtime(id: &str, dir: &Path, cgroups: bool) -> NodeConfig {
    NodeConfig {
        root: dir.join("runtime"),
        run_dir: super::run_dir_of(id),
        cgroup_root: format!("keelson-{id}"),
        cgroups,
    }
}

/// netd's configuration, from what `reset` knows for certain.
pub fn netd(id: &str, dir: &Path, node_name: &str, ranges: super::Ranges) -> keelson_netd::Config {
    keelson_netd::Config {
        id: id.to_owned(),
        node_name: node_name.to_owned(),
        kubeconfig: dir.join("netd.kubeconfig"),
        socket: super::run_dir_of(id).join("netd.sock"),
        state_dir: dir.join("netd"),
        pod_cidrs: Vec::new(),
        cluster_cidrs: vec![ranges.cluster_cidr()],
        service_cidrs: vec![ranges.service_cidr()],
        dns_ip: ranges.dns_ip(),
        cluster_domain: DOMAIN.to_owned(),
        node_ports: NODE_PORTS,
        resolv_conf: "/etc/resolv.conf".into(),
    }
}
