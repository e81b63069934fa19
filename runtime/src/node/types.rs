//! Plain data that crosses the border between the kubelet and the runtime.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Where the runtime keeps things and what the host offers.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Persistent root (`DIR/runtime`): overlay upper directories, container state that survives a reboot check.
    pub root: PathBuf,
    /// Volatile run directory (`/run/keelson-ID`): pinned namespaces, shim sockets.
    pub run_dir: PathBuf,
    /// Cgroup v2 directory name below the hierarchy's root, e.g. `keelson-ID`; pods live in `NAME/kubepods/...`.
    pub cgroup_root: String,
    /// Whether limits are applied. `false` where the host has no v2 controllers: limits are recorded, not enforced.
    pub cgroups: bool,
}

/// Identity of a pod sandbox: the pod's UID.
pub type SandboxId = String;
/// Identity of a container: 64 lower-case hex digits, random.
pub type ContainerId = String;

/// Quality-of-service class, which is also the cgroup's parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QosClass {
    /// Every container has limits equal to requests.
    Guaranteed,
    /// Some requests or limits.
    Burstable,
    /// None.
    BestEffort,
}

/// What is shared by the containers of a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Pod UID.
    pub id: SandboxId,
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Host name inside the pod (UTS namespace).
    pub hostname: String,
    /// `spec.hostNetwork`: no network namespace of its own.
    pub host_network: bool,
    /// `spec.hostPID`.
    pub host_pid: bool,
    /// `spec.hostIPC`.
    pub host_ipc: bool,
    /// `spec.shareProcessNamespace`: an init process of ours is PID 1.
    pub share_pid: bool,
    /// `securityContext.sysctls`.
    pub sysctls: BTreeMap<String, String>,
    /// The pod's cgroup parent.
    pub qos: QosClass,
    /// Pod-level limits (the sum), written to the pod's cgroup.
    pub resources: Resources,
}

/// What the runtime knows of a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxState {
    /// The request it was made from.
    pub spec: SandboxSpec,
    /// Path of the pinned network namespace; `None` with host network. The path given to netd's attach.
    pub netns: Option<PathBuf>,
    /// When it was made.
    pub created_at: SystemTime,
    /// Addresses the caller recorded with [`super::NodeRuntime::set_sandbox_ips`].
    pub ips: Vec<IpAddr>,
    /// Whether its namespaces still exist (false after a reboot).
    pub ready: bool,
}

/// Limits in the kernel's units; `None` leaves the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// `cpu.weight`'s source: cgroup v1 shares, 2..=262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU per period.
    pub cpu_quota: Option<i64>,
    /// Period in microseconds (Kubernetes: 100000).
    pub cpu_period: Option<u64>,
    /// `memory.max`, bytes.
    pub memory_limit: Option<i64>,
    /// `pids.max`.
    pub pids_limit: Option<i64>,
    /// `oom_score_adj` of the processes.
    pub oom_score_adj: Option<i32>,
    /// Huge page limits by page size, bytes.
    pub hugepages: BTreeMap<String, u64>,
}

/// Mount propagation of a volume mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// `None`: private.
    #[default]
    Private,
    /// `HostToContainer`: rslave.
    HostToContainer,
    /// `Bidirectional`: rshared.
    Bidirectional,
}

/// What the source of a mount must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// One bind mount from the host into a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Directory or file on the host.
    pub source: PathBuf,
    /// What `source` must be, symlinks followed; `None` for anything. What is checked is what is mounted, whoever changes
    /// names meanwhile.
    #[serde(default)]
    pub kind: Option<SourceKind>,
    /// Path below `source`, resolved without leaving it (subPath); created if absent.
    pub sub_path: Option<PathBuf>,
    /// Path in the container.
    pub target: PathBuf,
    /// Read-only, recursively when `recursive_read_only`.
    pub read_only: bool,
    /// `recursiveReadOnly: Enabled`.
    pub recursive_read_only: bool,
    /// Propagation.
    pub propagation: Propagation,
}

/// Where a container's root filesystem comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RootfsSource {
    /// Unpacked image layers, lowest first: stacked with overlayfs under a fresh upper directory.
    Layers(Vec<PathBuf>),
    /// An OCI bundle directory on the node (`oci-bundle://`): its `config.json` is the base configuration and its
    /// `root.path` the lower layer of an overlay (the bundle itself is never written).
    Bundle(PathBuf),
}

/// User as an image or a pod names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `uid[:gid]` or `name[:group]` as in an image's USER; resolved with the rootfs' `/etc/passwd` and `/etc/group`.
    pub image_user: String,
    /// `runAsUser`: wins over `image_user`.
    pub uid: Option<u32>,
    /// `runAsGroup`.
    pub gid: Option<u32>,
    /// `supplementalGroups` and `fsGroup`.
    pub additional_gids: Vec<u32>,
    /// `runAsNonRoot`: starting as uid 0 is refused with [`super::Error::Invalid`].
    pub must_be_non_root: bool,
}

/// Seccomp profile of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Our built-in profile, equal in effect to containerd's default.
    #[default]
    RuntimeDefault,
    /// No filter.
    Unconfined,
    /// A profile file (OCI `linux.seccomp` JSON) on the host.
    Localhost(PathBuf),
}

/// Everything about one container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Identity; see [`super::NodeRuntime::new_container_id`].
    pub id: ContainerId,
    /// Name in the pod spec.
    pub name: String,
    /// How often it was restarted: part of the log file's name (`N.log`).
    pub attempt: u32,
    /// The image as the pod names it, and its id, for listings.
    pub image: String,
    /// Image digest or id.
    pub image_id: String,
    /// Root filesystem.
    pub rootfs: RootfsSource,
    /// Full argument vector. Empty with a bundle: the bundle's own.
    pub args: Vec<String>,
    /// Environment, already merged, `KEY=value`. With a bundle: added over the bundle's own.
    pub env: Vec<String>,
    /// Working directory; created if missing. Empty: `/` (or the bundle's).
    pub cwd: String,
    /// User.
    pub user: User,
    /// Bind mounts. The kubelet passes `/etc/hosts`, `/etc/resolv.conf` and the termination log here too.
    pub mounts: Vec<VolumeMount>,
    /// Devices: host path, container path, `rwm`.
    pub devices: Vec<(PathBuf, PathBuf, String)>,
    /// Limits.
    pub resources: Resources,
    /// Capability names without `CAP_` to add; `ALL` allowed.
    pub cap_add: Vec<String>,
    /// Capability names without `CAP_` to drop; `ALL` allowed.
    pub cap_drop: Vec<String>,
    /// `privileged`.
    pub privileged: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    /// `readOnlyRootFilesystem`.
    pub read_only_rootfs: bool,
    /// `procMount: Unmasked`.
    pub unmasked_proc: bool,
    /// Seccomp.
    pub seccomp: Seccomp,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep stdin open for attach.
    pub stdin: bool,
    /// Close stdin after the first attach session ends.
    pub stdin_once: bool,
    /// Log file in CRI format; `None`: not logged. Parent directories exist.
    pub log_path: Option<PathBuf>,
    /// Rotate the log when it passes this many bytes (the kubelet's `containerLogMaxSize`, 10 MiB).
    pub log_max_size: u64,
    /// Rotated files kept beside it (`containerLogMaxFiles`, 5).
    pub log_max_files: u32,
    /// Signal for a graceful stop (image STOPSIGNAL), `SIGTERM` if none.
    pub stop_signal: Option<String>,
    /// Labels for listings: pod name, namespace, uid, container name.
    pub labels: BTreeMap<String, String>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Created, not started.
    Created,
    /// Its first process runs.
    Running,
    /// Its first process has ended.
    Exited {
        /// Exit code; 128 + signal number where a signal ended it.
        exit_code: i32,
        /// The signal that ended it.
        signal: Option<i32>,
        /// When.
        finished_at: SystemTime,
        /// The kernel's OOM killer ended a process of it.
        oom_killed: bool,
    },
    /// The shim vanished (kill -9, reboot): the exit code cannot be known.
    Unknown,
}

/// What the runtime knows of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerState {
    /// The request it was made from.
    pub spec: ContainerSpec,
    /// The sandbox it belongs to.
    pub sandbox: SandboxId,
    /// Phase.
    pub phase: Phase,
    /// Host PID of the first process while it runs.
    pub pid: Option<i32>,
    /// When it was created.
    pub created_at: SystemTime,
    /// When it was started.
    pub started_at: Option<SystemTime>,
    /// Resolved uid, gid and supplementary groups of the first process, once created.
    pub user: Option<(u32, u32, Vec<u32>)>,
}

/// A process to run in a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecSpec {
    /// Argument vector.
    pub args: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// Allocate a terminal: then stdout carries everything and stderr is `None`.
    pub tty: bool,
    /// Connect stdin.
    pub stdin: bool,
    /// Connect stdout.
    pub stdout: bool,
    /// Connect stderr (ignored with a terminal).
    pub stderr: bool,
    /// Terminal size, columns and rows.
    pub size: Option<(u16, u16)>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A container's first process ended; its state says how.
    Exited(ContainerId),
    /// A process of the container was killed for want of memory.
    Oom(ContainerId),
}

/// Usage counters of a container or sandbox, for `/stats/summary`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time used, nanoseconds.
    pub cpu_usage_ns: u64,
    /// Bytes charged.
    pub memory_usage: u64,
    /// Usage less inactive page cache.
    pub memory_working_set: u64,
    /// Anonymous memory.
    pub memory_rss: u64,
    /// Processes.
    pub pids: u64,
}
