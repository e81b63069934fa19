//! Installing a seccomp filter.

use std::os::fd::{FromRawFd, OwnedFd};

use super::{SysResult, check};

/// `struct sock_fprog` of `linux/filter.h`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const u64,
}

/// Installs a filter for this process with `SECCOMP_FILTER_FLAG_*` flags. Each word is one `struct sock_filter` in memory
/// order. Needs either no-new-privileges or CAP_SYS_ADMIN. With `listen`, returns the descriptor that gets notifications.
pub fn install_filter(instructions: &[u64], flags: u32, listen: bool) -> SysResult<Option<OwnedFd>> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    const NEW_LISTENER: u32 = 1 << 3;
    if instructions.len() > 4096 {
        return Err(super::Errno(libc::EINVAL)); // BPF_MAXINSNS
    }
    let flags = if listen { flags | NEW_LISTENER } else { flags };
    let program = Program {
        length: instructions.len() as u16,
        filter: instructions.as_ptr(),
    };
    // SAFETY: `program` describes `instructions`, whose words have size and layout of sock_filter (checked by the
    // kernel's verifier in content).
    let answer = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    })?;
    if !listen {
        return Ok(None);
    }
    // SAFETY: a fresh (close-on-exec) descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as i32) }))
}

/// Whether the kernel knows an action (a `SECCOMP_RET_*` value).
pub fn knows_action(action: u32) -> bool {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_uint = 2;
    // SAFETY: reads a u32.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) }).is_ok()
}
