//! Mounts from the parent's side: sources opened, ids mapped, everything as C strings.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use super::error::SpawnError;
use super::ids::MountNamespaces;
use super::mount_by_text::MountText;
use super::plan::{Mount, MountSource, Namespaces, TargetKind};
use super::prepare::c_string;
use super::sources::open_bind;
use crate::sys::{self, Attributes};

/// Options of a filesystem.
pub(super) type PreparedOptions = Vec<(CString, Option<CString>)>;

/// Source of a mount as the child gets it.
#[derive(Debug)]
pub(super) enum PreparedSource {
    Filesystem {
        kind: CString,
        options: PreparedOptions,
        /// In place of the options.
        text: Option<MountText>,
    },
    Tree(OwnedFd),
    Remount {
        options: PreparedOptions,
    },
}

/// One mount, ready to attach.
#[derive(Debug)]
pub(super) struct PreparedMount {
    pub target: CString,
    pub source: PreparedSource,
    pub kind: TargetKind,
    /// For this mount only.
    pub attributes: Attributes,
    /// For the mounts below as well.
    pub attributes_all: Attributes,
    pub copy_up: bool,
    /// A tmpfs whose options leave its mode to the directory that it covers.
    pub inherits_mode: bool,
    /// A target on which symlinks are refused outright: `/proc` and `/sys` themselves.
    pub plain_target: bool,
    /// Whether the target may lie on procfs (a few read-only information files).
    pub may_cover_proc: bool,
}

/// Files of procfs over which a bind mount is harmless, and in use (lxcfs): runc's list.
const COVERABLE_PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

fn options(options: &[(String, Option<String>)]) -> Result<PreparedOptions, SpawnError> {
    let one = |(key, value): &(String, Option<String>)| {
        Ok((c_string(key)?, value.as_deref().map(c_string).transpose()?))
    };
    options.iter().map(one).collect()
}

fn inherits_mode(source: &MountSource) -> bool {
    match source {
        MountSource::Filesystem { kind, options } => {
            kind == "tmpfs" && !options.iter().any(|(key, _)| key == "mode")
        }
        _ => false,
    }
}

pub(super) fn prepare_mount(
    mount: &Mount,
    container: &Namespaces,
    namespaces: &mut MountNamespaces,
) -> Result<PreparedMount, SpawnError> {
    let (source, kind, plain_target, proc_like) = match &mount.source {
        MountSource::Filesystem {
            kind,
            options: wanted,
        } => {
            let kernel_view = kind == "proc" || kind == "sysfs";
            let source = PreparedSource::Filesystem {
                kind: c_string(kind)?,
                options: options(wanted)?,
                text: MountText::needed(wanted)?,
            };
            let proc_like = kind == "proc" || kind == "mqueue";
            (source, TargetKind::Directory, kernel_view, proc_like)
        }
        MountSource::Remount { options: wanted } => {
            let source = PreparedSource::Remount {
                options: options(wanted)?,
            };
            (source, TargetKind::Directory, false, true)
        }
        MountSource::Bind {
            path,
            sub_path,
            recursive,
        } => {
            let (tree, kind) = open_bind(path, sub_path.as_deref(), *recursive)?;
            if let Some(ids) = &mount.ids {
                let user = namespaces.get(ids, container)?;
                sys::mount_map_ids(tree.as_fd(), user.as_fd(), ids.recursive).map_err(|errno| {
                    SpawnError::new(format!("mapping the ids of mount {}", mount.target), errno)
                })?;
            }
            (PreparedSource::Tree(tree), kind, false, false)
        }
    };
    let recursive = mount.propagation & libc::MS_REC != 0;
    let propagation = mount.propagation & !libc::MS_REC;
    Ok(PreparedMount {
        target: c_string(&mount.target)?,
        source,
        kind,
        attributes: Attributes {
            set: mount.set,
            clear: mount.clear,
            propagation: if recursive { 0 } else { propagation },
        },
        attributes_all: Attributes {
            set: mount.set_all,
            clear: mount.clear_all,
            propagation: if recursive { propagation } else { 0 },
        },
        copy_up: mount.copy_up,
        inherits_mode: inherits_mode(&mount.source),
        plain_target,
        may_cover_proc: proc_like || COVERABLE_PROC_FILES.contains(&mount.target.as_str()),
    })
}
