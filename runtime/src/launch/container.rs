//! The child that becomes a container's first process. Allocates nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confined::{ensure_in_root, open_in_root, open_plain};
use super::failure::{Failure, RecordKind, Step, at};
use super::plan::TargetKind;
use super::prepare::{PreparedContainer, PreparedDevice, PreparedMount, PreparedSource};
use super::spawn::{Gate, StandardStreams};
use super::{identity, terminal};
use crate::sys::{self, Attributes, Errno, FileKind, MountFs, SysResult};

/// `PROC_SUPER_MAGIC`.
const PROCFS: i64 = 0x9fa0;

/// Sets the container up, waits at the gate, execs. Returns (for the process to end) only after a failure.
pub(super) fn run(
    container: &PreparedContainer,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
    gate: &Gate,
) {
    let failure = match set_up(container, channel, streams) {
        // Who starts it later cannot be told of a program that is not there: whoever creates it must be.
        Ok(()) if matches!(gate, Gate::Fifo(_)) && identity::find_program(&container.process).is_err() => {
            let errno = identity::find_program(&container.process)
                .err()
                .unwrap_or(Errno(libc::ENOENT));
            at(Step::Exec, 0)(errno)
        }
        Ok(()) => {
            identity::report(channel, RecordKind::Ready);
            match wait_at(gate, channel) {
                Ok(true) => identity::assume_and_exec(&container.process, container.rootfs.as_fd(), true),
                Ok(false) => return, // nobody is left to start us
                Err(errno) => at(Step::Gate, 0)(errno),
            }
        }
        Err(failure) => failure,
    };
    identity::report(channel, RecordKind::Failed(failure));
}

fn wait_at(gate: &Gate, channel: BorrowedFd<'_>) -> SysResult<bool> {
    match gate {
        Gate::Channel => sys::read_fd(channel, &mut [0; 2]).map(|n| n > 0),
        Gate::Fifo(directory) => {
            // Blocks until `start` opens the other end.
            let fifo = sys::open_at(directory.as_fd(), c"exec.fifo", libc::O_WRONLY, 0)?;
            sys::write_fd(fifo.as_fd(), b"0").map(|_| true)
        }
        Gate::Open => Ok(true),
    }
}

fn set_up(
    container: &PreparedContainer,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
) -> Result<(), Failure> {
    let root = container.rootfs.as_fd();
    sys::reset_signals().map_err(at(Step::Signals, 0))?;
    sys::become_session_leader().map_err(at(Step::Signals, 0))?;
    sys::new_session_keyring();
    sys::set_umask(0o022);
    for (index, (kind, namespace)) in container.join.iter().enumerate() {
        if *kind != libc::CLONE_NEWPID {
            sys::enter(namespace.as_fd(), *kind).map_err(at(Step::Join, index))?;
        }
    }
    let host_root =
        sys::open_path(c"/", libc::O_PATH | libc::O_DIRECTORY).map_err(at(Step::Propagation, 0))?;
    identity::set_oom_score(&container.process, host_root.as_fd()).map_err(at(Step::OomScore, 0))?;
    sys::make_tree_private().map_err(at(Step::Propagation, 0))?;
    attach_root(container).map_err(at(Step::AttachRoot, 0))?;
    if container.cgroup_namespace {
        sys::unshare(libc::CLONE_NEWCGROUP).map_err(at(Step::CgroupNamespace, 0))?;
    }
    for (index, mount) in container.mounts.iter().enumerate() {
        attach(root, mount).map_err(at(Step::Mount, index))?;
    }
    for (index, device) in container.devices.iter().enumerate() {
        make_device(root, device).map_err(at(Step::Device, index))?;
    }
    for (index, (path, target)) in container.links.iter().enumerate() {
        make_link(root, path, target).map_err(at(Step::Link, index))?;
    }
    let slave = if container.process.terminal {
        let made = terminal::make(root, channel, container.process.uid, container.process.size);
        Some(made.map_err(at(Step::Console, 0))?)
    } else {
        None
    };
    if let Some(slave) = slave.as_ref().filter(|_| container.console) {
        terminal::bind_console(root, slave.as_fd()).map_err(at(Step::Console, 1))?;
    }
    if let Some(hostname) = &container.hostname {
        sys::set_hostname(hostname).map_err(at(Step::Hostname, 0))?;
    }
    for (index, (file, value)) in container.sysctls.iter().enumerate() {
        // Through the host's procfs, whose sysctl files follow the namespaces of the process that opens them.
        sys::open_at(host_root.as_fd(), file, libc::O_WRONLY, 0)
            .and_then(|fd| sys::write_fd(fd.as_fd(), value.to_bytes()))
            .map_err(at(Step::Sysctl, index))?;
    }
    hide(root, &container.masked)?;
    for (index, path) in container.read_only.iter().enumerate() {
        make_read_only(root, path).map_err(at(Step::ReadOnly, index))?;
    }
    if container.read_only_root {
        let attributes = Attributes {
            set: Attributes::READ_ONLY,
            ..Attributes::default()
        };
        sys::mount_set_attributes(root, attributes, false).map_err(at(Step::ReadOnlyRoot, 0))?;
    }
    sys::pivot_into(root).map_err(at(Step::Pivot, 0))?;
    match (&slave, streams) {
        (Some(slave), _) => terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2)),
        (None, Some(streams)) => identity::connect(streams).map_err(at(Step::Descriptors, 0)),
        (None, None) => Ok(()), // the caller's own streams stay
    }
}

fn attach_root(container: &PreparedContainer) -> SysResult<()> {
    let target = sys::open_path(&container.attach_point, libc::O_PATH | libc::O_DIRECTORY)?;
    sys::move_mount(container.rootfs.as_fd(), target.as_fd())
}

fn attach(root: BorrowedFd<'_>, mount: &PreparedMount) -> SysResult<()> {
    let made;
    let tree = match &mount.source {
        PreparedSource::Filesystem { kind, options } => {
            let fs = MountFs::open(kind)?;
            for (key, value) in options {
                fs.set(key, value.as_deref())?;
            }
            made = fs.mount(Attributes::default())?;
            &made
        }
        PreparedSource::Tree(tree) => tree,
    };
    // Propagation concerns the whole tree, the other attributes only what they were asked for.
    let propagation = Attributes {
        propagation: mount.attributes.propagation,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), propagation, true)?;
    let others = Attributes {
        propagation: 0,
        ..mount.attributes
    };
    sys::mount_set_attributes(tree.as_fd(), others, mount.recursive)?;
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
    sys::move_mount(tree.as_fd(), target.as_fd())
}

/// Directory part and last component of a path that ends in a name, in a buffer for the former.
fn split<'a>(path: &'a CStr, buffer: &'a mut [u8; 4096]) -> SysResult<(&'a CStr, &'a CStr)> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes
        .iter()
        .rposition(|b| *b == b'/')
        .ok_or(Errno(libc::EINVAL))?;
    if slash + 2 > buffer.len() || slash + 2 == bytes.len() {
        return Err(Errno(libc::EINVAL));
    }
    buffer[..=slash].copy_from_slice(&bytes[..=slash]);
    buffer[slash + 1] = 0;
    let parent = CStr::from_bytes_until_nul(&buffer[..]).map_err(|_| Errno(libc::EINVAL))?;
    let name = CStr::from_bytes_with_nul(&bytes[slash + 1..]).map_err(|_| Errno(libc::EINVAL))?;
    Ok((parent, name))
}

fn make_device(root: BorrowedFd<'_>, device: &PreparedDevice) -> SysResult<()> {
    let mut buffer = [0; 4096];
    let (parent, name) = split(&device.path, &mut buffer)?;
    let parent = ensure_in_root(root, parent, TargetKind::Directory)?;
    match sys::mknod_at(parent.as_fd(), name, device.mode, device.number) {
        Ok(()) => {}
        Err(Errno(libc::EEXIST)) => {
            // Keep what is there only if it is the very device.
            let found = sys::open_at(parent.as_fd(), name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            return match sys::stat_fd(found.as_fd())?.kind {
                FileKind::CharDevice(number) | FileKind::BlockDevice(number) if number == device.number => {
                    Ok(())
                }
                _ => Err(Errno(libc::EEXIST)),
            };
        }
        Err(errno) => return Err(errno),
    }
    sys::chmod_at(parent.as_fd(), name, device.mode & 0o7777)?;
    if device.uid != 0 || device.gid != 0 {
        sys::chown_at(parent.as_fd(), name, device.uid, device.gid)?;
    }
    Ok(())
}

fn make_link(root: BorrowedFd<'_>, path: &CStr, target: &CStr) -> SysResult<()> {
    let mut buffer = [0; 4096];
    let (parent, name) = split(path, &mut buffer)?;
    let parent = ensure_in_root(root, parent, TargetKind::Directory)?;
    match sys::symlink_at(target, parent.as_fd(), name) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => other,
    }
}

/// Masks paths. Directories share one empty read-only tmpfs; files get the null device, verified to be it.
fn hide(root: BorrowedFd<'_>, paths: &[std::ffi::CString]) -> Result<(), Failure> {
    if paths.is_empty() {
        return Ok(());
    }
    let null = super::null::find().map_err(at(Step::Mask, 0))?; // the host's: we have not pivoted yet
    let mut first_directory: Option<OwnedFd> = None;
    for (index, path) in paths.iter().enumerate() {
        hide_one(root, path, null.as_fd(), &mut first_directory).map_err(at(Step::Mask, index))?;
    }
    Ok(())
}

fn hide_one(
    root: BorrowedFd<'_>,
    path: &CStr,
    null: BorrowedFd<'_>,
    first_directory: &mut Option<OwnedFd>,
) -> SysResult<()> {
    let target = match open_in_root(root, path, libc::O_PATH) {
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
        other => other?,
    };
    if sys::stat_fd(target.as_fd())?.kind != FileKind::Directory {
        return sys::move_mount(super::null::read_only(null)?.as_fd(), target.as_fd());
    }
    let cover = if let Some(first) = first_directory {
        sys::open_tree(first.as_fd(), false)?
    } else {
        let fs = MountFs::open(c"tmpfs")?;
        fs.set(c"size", Some(c"0"))?;
        fs.set(c"nr_inodes", Some(c"1"))?;
        fs.set(c"ro", None)?;
        let set = Attributes::READ_ONLY | Attributes::NO_SUID | Attributes::NO_DEV | Attributes::NO_EXEC;
        fs.mount(Attributes {
            set,
            ..Attributes::default()
        })?
    };
    sys::move_mount(cover.as_fd(), target.as_fd())?;
    first_directory.get_or_insert(cover);
    Ok(())
}

fn make_read_only(root: BorrowedFd<'_>, path: &CStr) -> SysResult<()> {
    let target = match open_in_root(root, path, libc::O_PATH) {
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
        other => other?,
    };
    let tree = sys::open_tree(target.as_fd(), true)?;
    let attributes = Attributes {
        set: Attributes::READ_ONLY,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), attributes, true)?;
    sys::move_mount(tree.as_fd(), target.as_fd())
}
