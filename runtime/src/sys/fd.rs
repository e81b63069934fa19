//! File descriptors: pipes, duplicates, raw reads and writes, sealed memory files.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, SysResult, check, check_int};

/// A pipe: read end, write end; both close-on-exec.
pub fn pipe() -> SysResult<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors that pipe2 writes.
    check_int(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: pipe2 succeeded, so both descriptors are open and owned by nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Asks for a pipe buffer of `bytes`; the kernel may refuse, which is not an error.
pub fn pipe_size(fd: BorrowedFd<'_>, bytes: i32) {
    // SAFETY: F_SETPIPE_SZ takes an int and touches no memory of ours.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// A close-on-exec duplicate.
pub fn duplicate(fd: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int and touches no memory of ours.
    let new = check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: fcntl returned a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Makes `target` (0, 1 or 2) refer to `fd`, without close-on-exec.
pub fn duplicate_to(fd: BorrowedFd<'_>, target: RawFd) -> SysResult<()> {
    // SAFETY: dup2 touches no memory. The standard descriptors are not owned by any OwnedFd in this program, and the
    // callers pass nothing else.
    check_int(unsafe { libc::dup2(fd.as_raw_fd(), target) })?;
    Ok(())
}

/// Lets a descriptor stay open across exec.
pub fn keep_across_exec(fd: RawFd) -> SysResult<()> {
    // SAFETY: F_SETFD takes an int and touches no memory; no descriptor is closed.
    check_int(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    Ok(())
}

/// Whether there is a descriptor of this number.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes no argument and touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Marks every descriptor from `first` on close-on-exec.
pub fn cloexec_from(first: RawFd) -> SysResult<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_int = 4;
    // SAFETY: only sets a flag on descriptors; none is closed.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            CLOSE_RANGE_CLOEXEC,
        )
    })?;
    Ok(())
}

/// Closes the copy of a descriptor that a freshly cloned child has, so that the parent's end of a channel really closes
/// when the parent ends. Only in a child that leaves by exec or `_exit`, where the copy's owner is never dropped.
pub fn close_in_child(fd: BorrowedFd<'_>) {
    // SAFETY: nobody uses or drops this descriptor in this process again, by the contract above.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// Closes every descriptor from `first` on but those of `kept`, which it sorts. Only in a child that leaves by exec or
/// `_exit`, where the owners of the others are never used or dropped.
pub fn close_all_but(first: RawFd, kept: &mut [RawFd]) -> SysResult<()> {
    kept.sort_unstable(); // in place: allocates nothing
    let mut next = first;
    for &mut fd in kept {
        if fd > next {
            // SAFETY: by the contract above.
            check(unsafe { libc::syscall(libc::SYS_close_range, next, fd - 1, 0) })?;
        }
        next = next.max(fd + 1);
    }
    close_from(next)
}

/// Closes every descriptor from `first` on. Only for a process that will touch none of its descriptors again.
pub fn close_from(first: RawFd) -> SysResult<()> {
    // SAFETY: the owners of these descriptors are never used or dropped again, by the contract above.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) })?;
    Ok(())
}

/// Switches `O_NONBLOCK`.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> SysResult<()> {
    // SAFETY: F_GETFL and F_SETFL take and return ints only.
    let flags = check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let flags = if on {
        flags | libc::O_NONBLOCK
    } else {
        flags & !libc::O_NONBLOCK
    };
    // SAFETY: as above.
    check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) })?;
    Ok(())
}

/// One `read`, retried when a signal interrupts it. 0 is end of file.
pub fn read_fd(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> SysResult<usize> {
    loop {
        // SAFETY: the pointer and length describe `buffer`, which is writable.
        let n = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        match check(n as libc::c_long) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|n| n as usize),
        }
    }
}

/// One `write`, retried when a signal interrupts it.
pub fn write_fd(fd: BorrowedFd<'_>, data: &[u8]) -> SysResult<usize> {
    loop {
        // SAFETY: the pointer and length describe `data`.
        let n = unsafe { libc::write(fd.as_raw_fd(), data.as_ptr().cast(), data.len()) };
        match check(n as libc::c_long) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|n| n as usize),
        }
    }
}

/// An empty memory file that can be executed through `/proc/self/fd/N`, and later [`seal`]ed.
pub fn executable_memory_file(name: &CStr) -> SysResult<OwnedFd> {
    const MFD_EXEC: libc::c_uint = 0x10;
    let base = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: `name` is NUL-terminated.
    let mut raw = unsafe { libc::memfd_create(name.as_ptr(), base | MFD_EXEC) };
    if raw < 0 {
        // Before Linux 6.3 the flag is unknown, and every memory file is executable.
        // SAFETY: as above.
        raw = unsafe { libc::memfd_create(name.as_ptr(), base) };
    }
    // SAFETY: a fresh descriptor that nobody else owns, if the check passes.
    Ok(unsafe { OwnedFd::from_raw_fd(check_int(raw)?) })
}

/// Sets all seals: the memory file can never be changed again.
pub fn seal(file: BorrowedFd<'_>) -> SysResult<()> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: F_ADD_SEALS takes an int.
    check_int(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

/// A sealed memory file with `data`.
pub fn sealed_memory_file(name: &CStr, data: &[u8]) -> SysResult<OwnedFd> {
    let fd = executable_memory_file(name)?;
    let mut rest = data;
    while !rest.is_empty() {
        let n = write_fd(std::os::fd::AsFd::as_fd(&fd), rest)?;
        rest = &rest[n..];
    }
    seal(std::os::fd::AsFd::as_fd(&fd))?;
    Ok(fd)
}

/// A memory file with the given pieces, to be read from its beginning. No seals: it is handed to one reader.
pub fn memory_file(name: &CStr, pieces: &[&[u8]]) -> SysResult<OwnedFd> {
    // SAFETY: `name` is NUL-terminated.
    let raw = check_int(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let n = write_fd(std::os::fd::AsFd::as_fd(&fd), rest)?;
            rest = &rest[n..];
        }
    }
    // SAFETY: takes integers.
    check(unsafe { libc::lseek(raw, 0, libc::SEEK_SET) })?;
    Ok(fd)
}

/// 32 random bytes from the kernel.
pub fn random_bytes() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: pointer and length describe `rest`.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        if n > 0 {
            filled += n as usize;
        }
    }
    bytes
}
