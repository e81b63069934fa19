//! Masked and read-only paths. Allocates nothing.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confined::open_in_root;
use super::failure::{Failure, Step, at};
use super::null;
use crate::sys::{self, Attributes, Errno, FileKind, MountFs, SysResult};

/// Masks paths. Directories share one empty read-only tmpfs; files get the null device, verified to be it.
pub(super) fn hide(root: BorrowedFd<'_>, paths: &[CString]) -> Result<(), Failure> {
    if paths.is_empty() {
        return Ok(());
    }
    let null = null::find().map_err(at(Step::Mask, 0))?; // the host's: we have not pivoted yet
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
        return sys::move_mount(null::read_only(null)?.as_fd(), target.as_fd());
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

pub(super) fn make_read_only(root: BorrowedFd<'_>, path: &CStr) -> SysResult<()> {
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
