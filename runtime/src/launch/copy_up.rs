//! Beginning a tmpfs with a copy of the directory that it covers (`tmpcopyup`). Allocates nothing, and stays below both
//! directories: names come from a directory listing, symlinks are copied and never followed.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::{self, Entries, Errno, SysResult};

/// Deepest tree that is copied: each level takes some 3 KiB of stack, and two descriptors.
const MAX_DEPTH: usize = 100;

/// Copies the directory `from` into the filesystem `to`, whose root takes its mode if `mode` says so.
pub(super) fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mode: bool) -> SysResult<()> {
    let to = sys::open_at(to, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let own = sys::stat_fd(to.as_fd())?.mode;
    copy_directory(from, to.as_fd(), 0)?;
    if mode {
        return Ok(());
    }
    sys::chmod_fd(to.as_fd(), own)
}

fn copy_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> SysResult<()> {
    if depth > MAX_DEPTH {
        return Err(Errno(libc::ELOOP));
    }
    let mut entries = Entries::new(from);
    let mut name = [0; 256];
    while entries.next(&mut name)? {
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno(libc::EIO))?;
        copy_entry(from, to, name, depth)?;
    }
    let stat = sys::stat_fd(from)?;
    sys::chown_fd(to, stat.uid, stat.gid)?;
    sys::chmod_fd(to, stat.mode)?; // after the owner, whose change clears the setuid and setgid bits
    sys::copy_xattrs(from, to)?;
    sys::copy_times(from, to)
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: usize) -> SysResult<()> {
    let found = sys::open_at(from, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let stat = sys::stat_fd(found.as_fd())?;
    match stat.format {
        libc::S_IFDIR => {
            sys::mkdir_at(to, name, 0o700)?;
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            let below = sys::open_at(from, name, flags, 0)?;
            let made = sys::open_at(to, name, flags, 0)?;
            copy_directory(below.as_fd(), made.as_fd(), depth + 1)
        }
        libc::S_IFREG => {
            let source = sys::open_at(from, name, libc::O_RDONLY | libc::O_NOFOLLOW, 0)?;
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let made = sys::open_at(to, name, flags, 0o600)?;
            sys::copy_data(source.as_fd(), made.as_fd())?;
            sys::chown_fd(made.as_fd(), stat.uid, stat.gid)?;
            sys::chmod_fd(made.as_fd(), stat.mode)?;
            sys::copy_xattrs(source.as_fd(), made.as_fd())?;
            sys::copy_times(source.as_fd(), made.as_fd())
        }
        libc::S_IFLNK => {
            let mut link = [0; 4097];
            let n = sys::read_link_at(from, name, &mut link[..4096])?;
            let text = CStr::from_bytes_with_nul(&link[..=n]).map_err(|_| Errno(libc::EINVAL))?;
            sys::symlink_at(text, to, name)?;
            sys::chown_at(to, name, stat.uid, stat.gid)
        }
        libc::S_IFSOCK => Ok(()), // nobody would listen on the copy
        _ => {
            let number = match stat.kind {
                sys::FileKind::CharDevice(number) | sys::FileKind::BlockDevice(number) => number,
                _ => 0,
            };
            sys::mknod_at(to, name, stat.format | stat.mode, number)?;
            sys::chown_at(to, name, stat.uid, stat.gid)
        }
    }
}
