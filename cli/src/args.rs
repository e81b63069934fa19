//! The command line, as scripts rely on it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::image::args::Image;
use crate::commands::snapshot::args::Snapshot;

/// A Kubernetes cluster from one binary: node runtime, network and control plane.
#[derive(Debug, Parser)]
#[command(name = "keelson", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster on this machine: control plane, node agent and network
    Up(Up),
    /// Stop a cluster's daemons and pods; its data stays
    Down(DataDir),
    /// Remove a cluster with every mount, cgroup, namespace, interface, nftables table and file
    Reset(DataDir),
    /// Show each daemon's pid, health and memory
    Status(Status),
    /// Manage the images of this node
    Image(Image),
    /// Save, restore and check snapshots of a cluster's state
    Snapshot(Snapshot),
    /// Run only the control plane (as `up` does)
    Control(Control),
    /// Run only the node agent (as `up` does)
    Kubelet(DataDir),
    /// Run only the network daemon (as `up` does)
    Netd(DataDir),
    /// The OCI runtime's command line (`keelson runtime --help`)
    #[command(disable_help_flag = true)]
    Runtime(Passthrough),
}

/// Arguments that another parser reads.
#[derive(Debug, Args)]
pub struct Passthrough {
    /// Arguments of the OCI runtime
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<String>,
}

/// Names a cluster on this machine.
#[derive(Debug, Clone, Args)]
pub struct DataDir {
    /// Directory that holds everything of the cluster
    #[arg(long, default_value = "/var/lib/keelson", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// `keelson up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
    /// Where to write the administrator's kubeconfig [default: DIR/admin.kubeconfig]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Address of the API server [default: 127.0.0.1:6443, or what this cluster had before]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Address that the node registers with [default: its address on the pod bridge, reachable from this machine only,
    /// while the API server listens on loopback; else this machine's primary address]
    #[arg(long, value_name = "IP")]
    pub node_ip: Option<IpAddr>,
    /// Name that the node registers with [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// The store
    #[command(flatten)]
    pub etcd: Etcd,
    /// Return when the cluster is ready, and leave it running
    #[arg(long)]
    pub detach: bool,
    /// Report readiness or failure as one line on stdout (what `--detach` starts)
    #[arg(long, hide = true)]
    pub report: bool,
}

/// `keelson control`.
#[derive(Debug, Args)]
pub struct Control {
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
    /// The store
    #[command(flatten)]
    pub etcd: Etcd,
    /// How objects are encrypted in the store: an EncryptionConfiguration of apiserver.config.k8s.io/v1
    /// [default: DIR/pki/encryption.yaml, which the first start makes]
    #[arg(long, value_name = "FILE")]
    pub encryption_provider_config: Option<PathBuf>,
    /// Read that file again when it changes
    #[arg(long)]
    pub encryption_provider_config_automatic_reload: bool,
    /// What is configured of admission plug-ins (PodSecurity, ResourceQuota): an AdmissionConfiguration of
    /// apiserver.config.k8s.io/v1
    #[arg(long, value_name = "FILE")]
    pub admission_control_config_file: Option<PathBuf>,
}

/// Where the control plane keeps its objects (kube-apiserver's options of these names).
#[derive(Debug, Clone, Args)]
pub struct Etcd {
    /// URLs of the etcd servers that several control planes share, with commas between them; empty for the embedded
    /// store [default: the embedded store, or what this cluster had before]
    #[arg(
        id = "etcd_servers",
        long = "etcd-servers",
        value_name = "URLS",
        value_delimiter = ','
    )]
    pub servers: Option<Vec<String>>,
    /// Authority that signed the certificates of the etcd servers
    #[arg(
        id = "etcd_cafile",
        long = "etcd-cafile",
        value_name = "FILE",
        requires = "etcd_servers"
    )]
    pub ca_file: Option<PathBuf>,
    /// Certificate to show to etcd
    #[arg(id = "etcd_certfile", long = "etcd-certfile", value_name = "FILE", requires_all = ["etcd_servers", "etcd_keyfile"])]
    pub cert_file: Option<PathBuf>,
    /// Key of that certificate
    #[arg(id = "etcd_keyfile", long = "etcd-keyfile", value_name = "FILE", requires_all = ["etcd_servers", "etcd_certfile"])]
    pub key_file: Option<PathBuf>,
    /// What all keys in etcd begin with
    #[arg(
        id = "etcd_prefix",
        long = "etcd-prefix",
        value_name = "PREFIX",
        default_value = "/registry"
    )]
    pub prefix: String,
}

impl Etcd {
    /// The same options, to pass on.
    pub fn arguments(&self) -> Vec<OsString> {
        let Some(servers) = &self.servers else {
            return Vec::new();
        };
        let mut all = vec!["--etcd-servers".into(), servers.join(",").into()];
        for (option, file) in [
            ("--etcd-cafile", &self.ca_file),
            ("--etcd-certfile", &self.cert_file),
            ("--etcd-keyfile", &self.key_file),
        ] {
            if let Some(file) = file {
                all.extend([option.into(), file.into()]);
            }
        }
        all.extend(["--etcd-prefix".into(), OsString::from(&self.prefix)]);
        all
    }
}

/// `keelson status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Output formats of `keelson status` and `keelson snapshot status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}
