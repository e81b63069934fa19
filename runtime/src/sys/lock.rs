//! File locks: `flock` between callers, and POSIX record locks that say who is alive.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, SysResult, check_int};

/// Blocks until this open file is locked exclusively (`flock`): released when the descriptor is closed.
pub fn lock_exclusive(fd: BorrowedFd<'_>) -> SysResult<()> {
    loop {
        // SAFETY: takes integers.
        match check_int(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|_| ()),
        }
    }
}

fn whole_file() -> libc::flock {
    // SAFETY: an all-zero flock is a valid value of this plain C structure: offset 0, length 0 (to the end).
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Takes a record lock that this process holds until it ends. Children do not inherit it, which `flock` would allow.
pub fn lock_owned(fd: BorrowedFd<'_>) -> SysResult<()> {
    let lock = whole_file();
    // SAFETY: F_SETLK reads a struct flock.
    check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETLK, &raw const lock) })?;
    Ok(())
}

/// Process id of the holder of a record lock, or `None`.
pub fn lock_holder(fd: BorrowedFd<'_>) -> SysResult<Option<i32>> {
    let mut lock = whole_file();
    // SAFETY: F_GETLK reads and writes a struct flock.
    check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETLK, &raw mut lock) })?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid))
}
