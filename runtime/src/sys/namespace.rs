//! Namespaces: entering and leaving them, and setting up what a fresh one lacks.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{SysResult, check_int};

/// Leaves the given namespaces (`CLONE_NEW*`) for fresh ones.
pub fn unshare(namespaces: i32) -> SysResult<()> {
    // SAFETY: takes an integer.
    check_int(unsafe { libc::unshare(namespaces) })?;
    Ok(())
}

/// Enters the namespace behind a namespace file, or those of `kinds` of the process behind a pidfd.
pub fn enter(fd: BorrowedFd<'_>, kinds: i32) -> SysResult<()> {
    // SAFETY: takes integers.
    check_int(unsafe { libc::setns(fd.as_raw_fd(), kinds) })?;
    Ok(())
}

/// Sets this UTS namespace's host name.
pub fn set_hostname(name: &str) -> SysResult<()> {
    // SAFETY: pointer and length describe `name`.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })?;
    Ok(())
}

/// Sets this UTS namespace's NIS domain name.
pub fn set_domainname(name: &str) -> SysResult<()> {
    // SAFETY: pointer and length describe `name`.
    check_int(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) })?;
    Ok(())
}

/// Brings up `lo` in this network namespace; the kernel then gives it 127.0.0.1/8 and ::1.
pub fn loopback_up() -> SysResult<()> {
    // SAFETY: takes integers.
    let raw = check_int(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: an all-zero ifreq is a valid value of this plain C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq with a NUL-terminated name.
    check_int(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })?;
    Ok(())
}
