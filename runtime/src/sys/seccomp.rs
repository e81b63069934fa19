//! Installing a seccomp filter.

use super::{SysResult, check};

/// `struct sock_fprog` of `linux/filter.h`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const u64,
}

/// Installs a filter for this process. Each word is one `struct sock_filter` in memory order. Needs either
/// no-new-privileges or CAP_SYS_ADMIN.
pub fn install_filter(instructions: &[u64]) -> SysResult<()> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    if instructions.len() > 4096 {
        return Err(super::Errno(libc::EINVAL)); // BPF_MAXINSNS
    }
    let program = Program {
        length: instructions.len() as u16,
        filter: instructions.as_ptr(),
    };
    // SAFETY: `program` describes `instructions`, whose words have size and layout of sock_filter (checked by the
    // kernel's verifier in content).
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) })?;
    Ok(())
}
