//! The plan of a container: every path, flag and number that its launch needs, as plain data.

use crate::wire::{wire_enum, wire_struct};

wire_struct! {
    /// A container as it will be made. Compiled from a specification by `crate::plan`; carried out by `crate::launch`.
    #[derive(Debug, Clone, PartialEq)]
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
        /// Host name to set in a fresh UTS namespace.
        pub hostname: Option<String>,
        /// Kernel parameters to set in the container's namespaces: file below `/proc/sys`, value.
        pub sysctls: Vec<(String, String)>,
        /// Add a terminal's slave as `/dev/console`.
        pub console: bool,
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
        /// Existing namespaces to enter: `CLONE_NEW*` kind and namespace file.
        pub join: Vec<(u64, String)>,
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
        /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or 0.
        pub propagation: u64,
        /// Apply the bits to mounts below as well.
        pub recursive: bool,
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
    #[derive(Debug, Clone, PartialEq)]
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
        /// Seccomp filters, installed in order: each a list of `struct sock_filter` in memory order.
        pub seccomp: Vec<Vec<u64>>,
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
