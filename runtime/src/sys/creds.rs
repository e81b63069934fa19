//! Identity and privilege of the calling process.

use super::{Errno, SysResult, check, check_int};

/// Four capability sets as bit masks (bit N is capability number N). The bounding set is dropped separately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSet {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// `capset` for this thread.
pub fn set_capabilities(caps: CapSet) -> SysResult<()> {
    const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = CapHeader {
        version: LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data = [
        [low(caps.effective), low(caps.permitted), low(caps.inheritable)],
        [high(caps.effective), high(caps.permitted), high(caps.inheritable)],
    ];
    // SAFETY: version 3 reads a header and two structs of three u32 each.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    Ok(())
}

/// This thread's permitted capabilities.
pub fn get_permitted() -> SysResult<u64> {
    let header = CapHeader {
        version: 0x2008_0522,
        pid: 0,
    };
    let mut data = [[0u32; 3]; 2];
    // SAFETY: version 3 reads a header and writes two structs of three u32 each.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    Ok(u64::from(data[0][1]) | u64::from(data[1][1]) << 32)
}

/// Capabilities in this thread's bounding set.
pub fn get_bounding() -> u64 {
    let mut set = 0;
    for cap in 0..64u64 {
        // SAFETY: integer arguments; fails with EINVAL past the kernel's last capability.
        if unsafe { libc::prctl(libc::PR_CAPBSET_READ, cap, 0, 0, 0) } == 1 {
            set |= 1 << cap;
        }
    }
    set
}

/// Drops from the bounding set whatever is not in `keep`.
pub fn drop_bounding_above(keep: u64) -> SysResult<()> {
    for cap in 0..64u64 {
        if keep & (1 << cap) != 0 {
            continue;
        }
        // SAFETY: integer arguments.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, cap, 0, 0, 0) } {
            0 => {}
            1 => {
                // SAFETY: integer arguments.
                check_int(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0) })?;
            }
            _ => break, // past the kernel's last capability
        }
    }
    Ok(())
}

/// Clears the ambient set, then raises `caps` in it.
pub fn raise_ambient(caps: u64) -> SysResult<()> {
    // SAFETY: integer arguments.
    check_int(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    for cap in 0..64u64 {
        if caps & (1 << cap) != 0 {
            // SAFETY: integer arguments.
            check_int(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, cap, 0, 0) })?;
        }
    }
    Ok(())
}

/// Keeps permitted capabilities across the coming change of user id (cleared by exec).
pub fn set_keep_caps() -> SysResult<()> {
    // SAFETY: integer arguments.
    check_int(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })?;
    Ok(())
}

/// Forbids this process and all it starts to gain privileges through exec.
pub fn no_new_privileges() -> SysResult<()> {
    // SAFETY: integer arguments.
    check_int(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}

/// Replaces the supplementary groups. The raw call: the C library's would signal other threads, and here are none.
pub fn set_groups(groups: &[u32]) -> SysResult<()> {
    // SAFETY: pointer and length describe `groups`; gid_t is u32.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// Sets real, effective and saved group and user ids. The highest number is refused: to the kernel it means "as it is",
/// and whoever asked for it would stay root.
pub fn set_uid_gid(uid: u32, gid: u32) -> SysResult<()> {
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: integer arguments.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: integer arguments.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

/// Our effective user and group id.
pub fn own_ids() -> (u32, u32) {
    // SAFETY: no arguments.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Sets a resource limit (`RLIMIT_*`) of this process.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> SysResult<()> {
    let limit = [soft, hard];
    // SAFETY: `limit` has the layout of struct rlimit64; the old value is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            limit.as_ptr(),
            std::ptr::null_mut::<u64>(),
        )
    })?;
    Ok(())
}
