//! Device nodes and symlinks in a container's `/dev`. Allocates nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use super::confined::ensure_in_root;
use super::plan::TargetKind;
use super::prepare::PreparedDevice;
use crate::sys::{self, Errno, FileKind, SysResult};

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

/// Makes a node. Where that is not permitted (in a user namespace), shows the host's node of the same path, if it is the
/// same device. `host` is the root directory that the host has.
pub(super) fn make_device(
    root: BorrowedFd<'_>,
    host: BorrowedFd<'_>,
    device: &PreparedDevice,
) -> SysResult<()> {
    let mut buffer = [0; 4096];
    let (parent, name) = split(&device.path, &mut buffer)?;
    let parent = ensure_in_root(root, parent, TargetKind::Directory)?;
    match sys::mknod_at(parent.as_fd(), name, device.mode, device.number) {
        Ok(()) => {}
        Err(Errno(libc::EEXIST)) => {
            // Keep what is there only if it is the very device.
            let found = sys::open_at(parent.as_fd(), name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            return if is(device, found.as_fd())? {
                Ok(())
            } else {
                Err(Errno(libc::EEXIST))
            };
        }
        Err(Errno(libc::EPERM)) => return show_device(root, host, device),
        Err(errno) => return Err(errno),
    }
    if device.uid != 0 || device.gid != 0 {
        sys::chown_at(parent.as_fd(), name, device.uid, device.gid)?;
    }
    Ok(())
}

fn is(device: &PreparedDevice, found: BorrowedFd<'_>) -> SysResult<bool> {
    let stat = sys::stat_fd(found)?;
    Ok(match stat.kind {
        FileKind::CharDevice(number) | FileKind::BlockDevice(number) => {
            number == device.number && stat.format == device.mode & libc::S_IFMT
        }
        _ => stat.format == device.mode & libc::S_IFMT,
    })
}

fn show_device(root: BorrowedFd<'_>, host: BorrowedFd<'_>, device: &PreparedDevice) -> SysResult<()> {
    let path = device.path.to_bytes_with_nul();
    let relative = CStr::from_bytes_with_nul(&path[1..]).map_err(|_| Errno(libc::EINVAL))?;
    let found = sys::open_at(host, relative, libc::O_PATH, 0)?;
    if !is(device, found.as_fd())? {
        return Err(Errno(libc::EPERM));
    }
    let tree = sys::open_tree(found.as_fd(), false)?;
    let target = ensure_in_root(root, &device.path, TargetKind::File)?;
    sys::move_mount(tree.as_fd(), target.as_fd())
}

pub(super) fn make_link(root: BorrowedFd<'_>, path: &CStr, target: &CStr) -> SysResult<()> {
    let mut buffer = [0; 4096];
    let (parent, name) = split(path, &mut buffer)?;
    let parent = ensure_in_root(root, parent, TargetKind::Directory)?;
    match sys::symlink_at(target, parent.as_fd(), name) {
        Err(Errno(libc::EEXIST)) => Ok(()),
        other => other,
    }
}
