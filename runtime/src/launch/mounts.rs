//! Attaching a container's mounts. Allocates nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confined::{ensure_in_root, open_in_root, open_plain};
use super::copy_up::copy_up;
use super::failure::Words;
use super::mount_by_text::MountText;
use super::plan::TargetKind;
use super::prepared_mount::{PreparedMount, PreparedOptions, PreparedSource};
use crate::sys::{self, Attributes, Errno, MountFs, SysResult};

/// `PROC_SUPER_MAGIC`.
const PROCFS: i64 = 0x9fa0;

/// Attaches a mount below `root`. `host` is the root directory that the host has; `in_user` whether some filesystems may
/// be refused to us for want of privilege. What the kernel says of a failure goes to `words`.
pub(super) fn attach(
    root: BorrowedFd<'_>,
    host: BorrowedFd<'_>,
    mount: &PreparedMount,
    in_user: bool,
    words: &mut Words,
) -> SysResult<()> {
    let made;
    let tree = match &mount.source {
        PreparedSource::Filesystem { kind, options, text } => {
            let set = mount.attributes.set;
            let mounted = match text {
                Some(text) => with_text(text, kind, set),
                None => filesystem(kind, options, set, words),
            };
            made = match mounted {
                Err(errno) if in_user && errno.0 == libc::EPERM => shown(host, kind, mount.attributes.set)?,
                other => other?,
            };
            // What is set is set; nothing else was.
            let attributes = Attributes {
                set: 0,
                clear: 0,
                ..mount.attributes
            };
            sys::mount_set_attributes(made.as_fd(), attributes, false)?;
            &made
        }
        PreparedSource::Tree(tree) => {
            sys::mount_set_attributes(tree.as_fd(), mount.attributes, false)?;
            tree
        }
        PreparedSource::Remount { options } => return remount(root, mount, options, words),
    };
    sys::mount_set_attributes(tree.as_fd(), mount.attributes_all, true)?;
    let covered = open_in_root(root, &mount.target, libc::O_RDONLY | libc::O_DIRECTORY);
    let target = open_target(root, mount)?;
    // A directory that was made just now has nothing to pass on.
    if let Ok(covered) = covered.as_ref().map(AsFd::as_fd) {
        if mount.copy_up {
            copy_up(covered, tree.as_fd(), mount.inherits_mode)?;
        } else if mount.inherits_mode {
            take_mode(covered, tree.as_fd())?;
        }
    }
    sys::move_mount(tree.as_fd(), target.as_fd())
}

fn open_target(root: BorrowedFd<'_>, mount: &PreparedMount) -> SysResult<OwnedFd> {
    let target = if mount.plain_target {
        match open_plain(root, &mount.target, libc::O_PATH) {
            Err(Errno(libc::ENOENT)) => ensure_in_root(root, &mount.target, mount.kind)?,
            other => other?,
        }
    } else {
        ensure_in_root(root, &mount.target, mount.kind)?
    };
    if !mount.may_cover_proc && sys::fs_type(target.as_fd())? == PROCFS {
        return Err(Errno(libc::EPERM)); // a decoy over /proc/self/attr or /proc/sys would deceive whoever writes there
    }
    Ok(target)
}

fn configure(fs: &MountFs, options: &PreparedOptions, words: &mut Words) -> SysResult<()> {
    for (key, value) in options {
        fs.set(key, value.as_deref())
            .inspect_err(|_| explain(fs, words))?;
    }
    Ok(())
}

fn with_text(text: &MountText, kind: &CStr, set: u64) -> SysResult<OwnedFd> {
    let tree = text.mount(kind)?;
    let attributes = Attributes {
        set,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), attributes, false)?;
    Ok(tree)
}

/// Gives a fresh tmpfs the mode of the directory that it is about to cover.
fn take_mode(covered: BorrowedFd<'_>, tree: BorrowedFd<'_>) -> SysResult<()> {
    let root = sys::open_at(tree, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    sys::chmod_fd(root.as_fd(), sys::stat_fd(covered)?.mode)
}

/// Takes what the kernel has to say of a failure: "e tmpfs: Unknown parameter", of which the letter is left out.
fn explain(fs: &MountFs, words: &mut Words) {
    let mut buffer = [0; 256];
    let n = fs.read_message(&mut buffer);
    if let Some(text) = buffer[..n].get(2..) {
        words.push(text);
    }
}

fn filesystem(kind: &CStr, options: &PreparedOptions, set: u64, words: &mut Words) -> SysResult<OwnedFd> {
    let fs = MountFs::open(kind)?;
    configure(&fs, options, words)?;
    let attributes = Attributes {
        set,
        ..Attributes::default()
    };
    fs.mount(attributes).inspect_err(|_| explain(&fs, words))
}

/// The host's own instance of a kernel filesystem that we may not have one of (as crun has it): whoever shares a namespace
/// with the host in a user namespace sees what the host sees, with the attributes asked for. `/sys` is read-only in any case:
/// what is mounted below it comes along, such as the host's cgroups.
fn shown(host: BorrowedFd<'_>, kind: &CStr, set: u64) -> SysResult<OwnedFd> {
    let (path, set) = match kind.to_bytes() {
        b"sysfs" => (c"sys", set | Attributes::READ_ONLY),
        b"proc" => (c"proc", set),
        b"mqueue" => (c"dev/mqueue", set),
        b"cgroup2" => (c"sys/fs/cgroup", set),
        _ => return Err(Errno(libc::EPERM)),
    };
    let source = sys::open_at(host, path, libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let tree = sys::open_tree(source.as_fd(), true)?;
    let attributes = Attributes {
        set,
        propagation: libc::MS_SLAVE,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), attributes, true)?;
    Ok(tree)
}

/// Changes what is mounted at the target.
fn remount(
    root: BorrowedFd<'_>,
    mount: &PreparedMount,
    options: &PreparedOptions,
    words: &mut Words,
) -> SysResult<()> {
    let target = open_in_root(root, &mount.target, libc::O_PATH)?;
    if !options.is_empty() {
        let fs = MountFs::pick(target.as_fd())?;
        configure(&fs, options, words)?;
        fs.reconfigure().inspect_err(|_| explain(&fs, words))?;
    }
    sys::mount_set_attributes(target.as_fd(), mount.attributes, false)?;
    sys::mount_set_attributes(target.as_fd(), mount.attributes_all, true)
}

/// Shows the root filesystem where the plan says, in this mount namespace only.
pub(super) fn attach_root(rootfs: BorrowedFd<'_>, attach_point: &CStr) -> SysResult<()> {
    let target = sys::open_path(attach_point, libc::O_PATH | libc::O_DIRECTORY)?;
    sys::move_mount(rootfs, target.as_fd())
}

/// Makes what a working directory or a file target needs.
pub(super) fn make_directory(root: BorrowedFd<'_>, path: &CStr) -> SysResult<()> {
    ensure_in_root(root, path, TargetKind::Directory).map(|_| ())
}
