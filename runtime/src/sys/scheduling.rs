//! How the kernel schedules this process: policy, I/O priority, processors, memory nodes, personality.

use super::{SysResult, check, check_int};

/// `struct sched_attr` (sched_setattr(2)), without the utilization clamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SchedulerAttributes {
    /// Bytes of this structure.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value of SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// Priority of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// Nanoseconds of SCHED_DEADLINE.
    pub runtime: u64,
    /// Nanoseconds of SCHED_DEADLINE.
    pub deadline: u64,
    /// Nanoseconds of SCHED_DEADLINE.
    pub period: u64,
}

/// Sets policy and parameters of this process.
pub fn set_scheduler(attributes: &SchedulerAttributes) -> SysResult<()> {
    let raw = SchedulerAttributes {
        size: size_of::<SchedulerAttributes>() as u32,
        ..*attributes
    };
    // SAFETY: `raw` has the layout of the first version of struct sched_attr, and says so in its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0) })?;
    Ok(())
}

/// Sets this process's I/O priority: class in bits 13-15, level below (ioprio_set(2)).
pub fn set_io_priority(priority: u32) -> SysResult<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes integers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) })?;
    Ok(())
}

/// Confines this process to the processors whose bits are set.
pub fn set_affinity(processors: &[u64]) -> SysResult<()> {
    // SAFETY: pointer and length describe `processors`.
    check(unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of_val(processors),
            processors.as_ptr(),
        )
    })?;
    Ok(())
}

/// Sets where this process's memory comes from (set_mempolicy(2)): `MPOL_*` mode with flags, and node bits.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> SysResult<()> {
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 }; // the kernel takes one off
    // SAFETY: pointer and length describe `nodes`.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, nodes.as_ptr(), bits) })?;
    Ok(())
}

/// Sets the execution domain (personality(2)).
pub fn set_personality(persona: u64) -> SysResult<()> {
    // SAFETY: takes an integer.
    check_int(unsafe { libc::personality(persona as libc::c_ulong) })?;
    Ok(())
}
