//! The plan of a container: every path, flag and number that its launch needs, as plain data.

use crate::wire::{wire_enum, wire_struct};

wire_struct! {
    /// A container as it will be made. Compiled from a specification by `crate::plan`; carried out by `crate::launch`.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Plan {
        /// Host directory on which the root filesystem is attached, inside the container's own mount namespace only.
        pub attach_point: String,
        /// Namespaces.
        pub namespaces: Namespaces,
        /// Cgroup v2 directory that the process is born in.
        pub cgroup: Option<String>,
        /// Mounts, in order.
        pub mounts: Vec<Mount>,
        /// Device nodes.
        pub devices: Vec<Device>,
        /// Symlinks to make: path and target.
        pub links: Vec<(String, String)>,
        /// Paths to hide: a directory gets an empty read-only tmpfs, a file the null device; absent ones are skipped.
        pub masked: Vec<String>,
        /// Paths to make read-only; absent ones are skipped.
        pub read_only: Vec<String>,
        /// Make the root filesystem's own mount read-only.
        pub read_only_root: bool,
        /// Propagation of the root mount in the end (`MS_*`, `MS_REC` for all mounts); 0 leaves it private.
        pub root_propagation: u64,
        /// Host name to set in the container's UTS namespace.
        pub hostname: Option<String>,
        /// NIS domain name to set there.
        pub domainname: Option<String>,
        /// Kernel parameters to set in the container's namespaces: file below `/proc/sys`, value.
        pub sysctls: Vec<(String, String)>,
        /// Add a terminal's slave as `/dev/console`.
        pub console: bool,
        /// Programs to run on the way.
        pub hooks: Hooks,
        /// The first process.
        pub process: Process,
    }
}

wire_struct! {
    /// Namespaces of a container.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Namespaces {
        /// `CLONE_NEW*` flags that the process is cloned with.
        pub fresh: u64,
        /// Whether it gets a cgroup namespace, rooted at its own cgroup.
        pub cgroup: bool,
        /// Whether it gets a time namespace.
        pub time: bool,
        /// Clocks of that: lines of `/proc/PID/timens_offsets`.
        pub time_offsets: String,
        /// User ids of a fresh user namespace.
        pub uid_map: Vec<IdRange>,
        /// Group ids of a fresh user namespace.
        pub gid_map: Vec<IdRange>,
        /// Existing namespaces to enter: `CLONE_NEW*` kind and namespace file.
        pub join: Vec<(u64, String)>,
    }
}

wire_struct! {
    /// A range of ids of a user namespace (user_namespaces(7)).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct IdRange {
        /// First id inside.
        pub inside: u32,
        /// First id outside.
        pub outside: u32,
        /// How many.
        pub size: u32,
    }
}

wire_struct! {
    /// How the files of a mount change owner.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct IdMap {
        /// Of the mounts below as well.
        pub recursive: bool,
        /// User ids: from those of the filesystem (inside) to those seen (outside). Empty in both: the container's own
        /// user namespace.
        pub uids: Vec<IdRange>,
        /// Group ids.
        pub gids: Vec<IdRange>,
    }
}

wire_struct! {
    /// One mount.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Mount {
        /// Path in the container; resolved inside its root, missing directories are made.
        pub target: String,
        /// What is mounted.
        pub source: MountSource,
        /// `MOUNT_ATTR_*` bits to set.
        pub set: u64,
        /// `MOUNT_ATTR_*` bits to clear.
        pub clear: u64,
        /// `MOUNT_ATTR_*` bits to set here and on all mounts below.
        pub set_all: u64,
        /// `MOUNT_ATTR_*` bits to clear here and on all mounts below.
        pub clear_all: u64,
        /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE` or 0; with `MS_REC` also for the mounts below.
        pub propagation: u64,
        /// Id-mapped mount.
        pub ids: Option<IdMap>,
        /// Begin with a copy of what the target directory holds (a tmpfs only).
        pub copy_up: bool,
    }
}

impl Mount {
    /// A mount without any options.
    pub fn new(target: String, source: MountSource) -> Self {
        Self {
            target,
            source,
            set: 0,
            clear: 0,
            set_all: 0,
            clear_all: 0,
            propagation: 0,
            ids: None,
            copy_up: false,
        }
    }
}

wire_enum! {
    /// Source of a mount.
    #[derive(Debug, Clone, PartialEq)]
    pub enum MountSource {
        /// A filesystem instance of its own.
        Filesystem = 0 {
            /// Type (`proc`, `tmpfs`).
            kind: String,
            /// Options: key, and value unless it is a flag.
            options: Vec<(String, Option<String>)>,
        }
        /// A directory or file of the host.
        Bind = 1 {
            /// Path on the host.
            path: String,
            /// Path below it, which may not leave it; made if absent.
            sub_path: Option<String>,
            /// With the mounts below it.
            recursive: bool,
        }
        /// Whatever is mounted at the target already, with other options.
        Remount = 2 {
            /// Options of the filesystem itself; none changes only this mount's attributes.
            options: Vec<(String, Option<String>)>,
        }
    }
}

/// What a mount target must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A directory.
    Directory,
    /// Any other file.
    File,
}

wire_struct! {
    /// One device node, made with mode, number and owner; an existing right one is kept.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Device {
        /// Path in the container.
        pub path: String,
        /// Mode with `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
        pub mode: u32,
        /// Device number.
        pub number: u64,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
    }
}

wire_struct! {
    /// A process: the container's first, or one that joins it later.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Process {
        /// Argument vector; not empty.
        pub args: Vec<String>,
        /// Environment, `KEY=value`.
        pub env: Vec<String>,
        /// Working directory, absolute; made if absent.
        pub cwd: String,
        /// User id.
        pub uid: u32,
        /// Group id.
        pub gid: u32,
        /// Supplementary groups.
        pub groups: Vec<u32>,
        /// Capabilities.
        pub capabilities: Capabilities,
        /// Set no-new-privileges.
        pub no_new_privileges: bool,
        /// Seccomp filter.
        pub seccomp: Option<SeccompFilter>,
        /// Resource limits.
        pub rlimits: Vec<Rlimit>,
        /// `oom_score_adj`.
        pub oom_score_adj: Option<i32>,
        /// File mode creation mask.
        pub umask: u32,
        /// Run on a terminal of the container's devpts.
        pub terminal: bool,
        /// The terminal's columns and rows.
        pub size: Option<(u16, u16)>,
        /// AppArmor profile that it execs into.
        pub apparmor: Option<String>,
        /// SELinux context that it execs into.
        pub selinux: Option<String>,
        /// CPU scheduling.
        pub scheduler: Option<Scheduler>,
        /// I/O priority as ioprio_set(2) takes it: class in bits 13-15, level below.
        pub io_priority: Option<u32>,
        /// Execution domain (personality(2)).
        pub personality: Option<u64>,
        /// Processors while it is made: bits, lowest first. For a process that joins a container.
        pub initial_affinity: Vec<u64>,
        /// Processors in the end; empty leaves them alone.
        pub final_affinity: Vec<u64>,
        /// Memory policy: mode with flags as set_mempolicy(2) takes it, and node bits.
        pub memory_policy: Option<(u32, Vec<u64>)>,
        /// How many descriptors from 3 on it keeps.
        pub preserve_fds: u32,
    }
}

wire_struct! {
    /// A compiled seccomp filter.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct SeccompFilter {
        /// `struct sock_filter`s, each the word it is in memory.
        pub program: Vec<u64>,
        /// `SECCOMP_FILTER_FLAG_*`.
        pub flags: u32,
        /// Who is asked about calls whose action is to notify.
        pub listener: Option<SeccompListener>,
    }
}

wire_struct! {
    /// A seccomp agent (`config-linux.md`, seccomp, `listenerPath`).
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct SeccompListener {
        /// Its unix socket.
        pub path: String,
        /// Passed on to it.
        pub metadata: String,
    }
}

wire_struct! {
    /// CPU scheduling as sched_setattr(2) takes it.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Scheduler {
        /// `SCHED_*`.
        pub policy: u32,
        /// `SCHED_FLAG_*`.
        pub flags: u64,
        /// Nice value.
        pub nice: i32,
        /// Realtime priority.
        pub priority: u32,
        /// Nanoseconds, of SCHED_DEADLINE.
        pub runtime: u64,
        /// Nanoseconds, of SCHED_DEADLINE.
        pub deadline: u64,
        /// Nanoseconds, of SCHED_DEADLINE.
        pub period: u64,
    }
}

wire_struct! {
    /// Programs that run at points of a container's life (`config.md`, POSIX-platform hooks).
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Hooks {
        /// The container's state as a JSON object, up to where `status` and `pid` follow: no closing brace.
        pub state: String,
        /// Directory that they start in, where it can be seen.
        pub directory: String,
        /// In the runtime's namespaces, before the root is changed.
        pub prestart: Vec<Hook>,
        /// As `prestart`, after those.
        pub create_runtime: Vec<Hook>,
        /// In the container's namespaces, before the root is changed.
        pub create_container: Vec<Hook>,
        /// In the container, before its program.
        pub start_container: Vec<Hook>,
        /// In the runtime's namespaces, after the program started.
        pub poststart: Vec<Hook>,
        /// In the runtime's namespaces, after the container is deleted.
        pub poststop: Vec<Hook>,
    }
}

wire_struct! {
    /// One hook.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Hook {
        /// Program, absolute.
        pub path: String,
        /// Argument vector, the program's name included.
        pub args: Vec<String>,
        /// Its whole environment.
        pub env: Vec<String>,
        /// Seconds until it is killed; 0 is never.
        pub timeout: u32,
    }
}

wire_struct! {
    /// Capability sets as bit masks.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Capabilities {
        /// Bounding.
        pub bounding: u64,
        /// Effective.
        pub effective: u64,
        /// Permitted.
        pub permitted: u64,
        /// Inheritable.
        pub inheritable: u64,
        /// Ambient.
        pub ambient: u64,
    }
}

wire_struct! {
    /// One resource limit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rlimit {
        /// `RLIMIT_*` number.
        pub resource: u32,
        /// Soft limit.
        pub soft: u64,
        /// Hard limit.
        pub hard: u64,
    }
}
