//! Processes: clone3, pidfds, waiting, signals, exec.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Errno, SysResult, check, check_int};

/// `struct clone_args` of `linux/sched.h`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// How to make a process.
#[derive(Debug, Default, Clone, Copy)]
pub struct CloneRequest<'fd> {
    /// `CLONE_NEW*` flags.
    pub namespaces: u64,
    /// Cgroup directory that the process is born in.
    pub cgroup: Option<BorrowedFd<'fd>>,
    /// A child of our parent instead of our own.
    pub sibling: bool,
}

/// A process that [`clone_process`] made.
#[derive(Debug)]
pub struct Child {
    /// Its id in our process-id namespace.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
}

/// Clones this process and runs `child` in the copy, which ends with status 127 should `child` return.
///
/// Must be called from a single-threaded process, or `child` must not allocate or lock: other threads do not exist in
/// the copy, and whatever lock they held stays locked there.
pub fn clone_process(request: &CloneRequest<'_>, child: impl FnOnce()) -> SysResult<Child> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: request.namespaces | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = request.cgroup {
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    if request.sibling {
        args.flags |= libc::CLONE_PARENT as u64;
        args.exit_signal = 0; // that of the caller is taken
    }
    // SAFETY: `args` is a valid clone_args of the given size, without CLONE_VM or a new stack: the child continues here
    // on its own copy-on-write copy of all memory, as after fork.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        child();
        exit_now(127);
    }
    // SAFETY: the kernel stored a fresh descriptor in `pidfd`, owned by nobody else.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child {
        pid: pid as i32,
        pidfd,
    })
}

/// Plain fork of a single-threaded process: 0 in the child. With a cgroup, the child is born in it.
pub fn fork_process(cgroup: Option<BorrowedFd<'_>>) -> SysResult<i32> {
    let mut args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags = 0x2_0000_0000;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: as in `clone_process`.
    check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })
        .map(|pid| pid as i32)
}

/// Forks under a seccomp filter that knows only the old `clone`; the child runs `child` and ends with status 127 should it
/// return. Conditions as for [`clone_process`].
pub fn clone_plainly(child: impl FnOnce()) -> SysResult<Child> {
    let mut pidfd: libc::c_int = -1;
    let flags = (libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: no CLONE_VM and no new stack: the child goes on here on its own copy of all memory. The third argument is
    // where the kernel stores the pidfd on every architecture that this builds for.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, &raw mut pidfd, 0usize, 0usize) })?;
    if pid == 0 {
        child();
        exit_now(127);
    }
    // SAFETY: the kernel stored a fresh descriptor in `pidfd`, owned by nobody else.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child {
        pid: pid as i32,
        pidfd,
    })
}

/// Our process id in our own process namespace.
pub fn own_pid() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

/// Ends this process at once, without destructors or buffers being flushed.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes an integer, and has no other preconditions. (Not `_exit`, which asks again for ever.)
    unsafe { libc::syscall(libc::SYS_exit_group, code) };
    // A seccomp filter may deny even that. No filter can keep the kernel from ending a process for an illegal instruction.
    loop {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        // SAFETY: the instruction does nothing but trap.
        unsafe {
            std::arch::asm!("ud2");
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("udf #0");
        }
    }
}

/// A pidfd for a process that somebody else started.
pub fn pidfd_open(pid: i32) -> SysResult<OwnedFd> {
    // SAFETY: takes and returns integers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process behind a pidfd.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> SysResult<()> {
    // SAFETY: the info pointer may be null; everything else is an integer.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    })?;
    Ok(())
}

/// Sends a signal by number; only for process ids that cannot have been reused (our own unreaped children).
pub fn kill_pid(pid: i32, signal: i32) -> SysResult<()> {
    // SAFETY: takes and returns integers.
    check_int(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// The shell's convention: 128 + signal where a signal ended it.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

fn wait_id(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> SysResult<Option<(i32, Exit)>> {
    loop {
        // SAFETY: an all-zero siginfo_t is a valid value of this plain C structure.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is writable.
        match check_int(unsafe { libc::waitid(kind, id, &raw mut info, libc::WEXITED | flags) }) {
            Err(Errno(libc::EINTR)) => continue,
            Err(errno) => return Err(errno),
            Ok(_) => {}
        }
        // SAFETY: waitid filled the SIGCHLD member, or left zeroes.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        let exit = if info.si_code == libc::CLD_EXITED {
            Exit::Code(status)
        } else {
            Exit::Signal(status)
        };
        return Ok(Some((pid, exit)));
    }
}

/// Waits for the child behind a pidfd and reaps it.
pub fn wait_pidfd(pidfd: BorrowedFd<'_>) -> SysResult<Exit> {
    match wait_id(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, 0)? {
        Some((_, exit)) => Ok(exit),
        None => Err(Errno(libc::ECHILD)),
    }
}

/// Reaps one ended child, if there is one, without blocking.
pub fn wait_any() -> SysResult<Option<(i32, Exit)>> {
    match wait_id(libc::P_ALL, 0, libc::WNOHANG) {
        Err(Errno(libc::ECHILD)) => Ok(None),
        other => other,
    }
}

/// Puts every signal back to its default action and unblocks all: the payload must not inherit an ignored SIGPIPE.
pub fn reset_signals() -> SysResult<()> {
    /// `struct sigaction` of the kernel, all zero: SIG_DFL, no flags, empty mask. The C library's own function keeps
    /// its hands off signals 32 and 33, which a caller may have left ignored.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in (1..=64).filter(|signal| *signal != libc::SIGKILL && *signal != libc::SIGSTOP) {
        // SAFETY: `DEFAULT` is a valid kernel sigaction of a default action, with a mask of eight bytes.
        check(unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        })?;
    }
    // SAFETY: a zeroed sigset_t is the empty set on Linux; the old set is not asked for.
    unsafe {
        let empty: libc::sigset_t = std::mem::zeroed();
        check_int(libc::sigprocmask(
            libc::SIG_SETMASK,
            &raw const empty,
            ptr::null_mut(),
        ))?;
    }
    Ok(())
}

/// Blocks SIGCHLD in this thread, so that a signalfd can carry it.
pub fn block_child_signal() -> SysResult<()> {
    // SAFETY: the set is a local, initialised by sigemptyset.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check_int(libc::sigprocmask(
            libc::SIG_BLOCK,
            &raw const set,
            ptr::null_mut(),
        ))?;
    }
    Ok(())
}

/// Ignores SIGCHLD: the kernel then reaps children by itself.
pub fn ignore_child_signal() {
    // SAFETY: SIG_IGN installs no handler code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Sleeps until a signal ends or interrupts this process.
pub fn pause() {
    // SAFETY: no arguments.
    unsafe { libc::pause() };
}

/// `setsid`: a new session without a terminal.
pub fn become_session_leader() -> SysResult<()> {
    // SAFETY: no arguments.
    check_int(unsafe { libc::setsid() })?;
    Ok(())
}

fn prctl(option: i32, argument: u64) -> SysResult<()> {
    // SAFETY: the callers below pass only options whose argument is an integer.
    check_int(unsafe { libc::prctl(option, argument, 0u64, 0u64, 0u64) })?;
    Ok(())
}

/// Whether `/proc/PID/{exe,mem,fd}` of this process are open to others of its user (reset by exec).
pub fn set_dumpable(on: bool) -> SysResult<()> {
    prctl(libc::PR_SET_DUMPABLE, u64::from(on))
}

/// Adopts orphaned descendants instead of the machine's init.
pub fn set_subreaper() -> SysResult<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Signal sent to this process when its parent ends; 0 for none.
pub fn set_parent_death_signal(signal: i32) -> SysResult<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as u64)
}

/// Leaves the inherited session keyring for a fresh one: keys of the host must not be readable in a container. Kernels
/// without keyrings are fine.
pub fn new_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the name may be null: an anonymous keyring.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            ptr::null::<libc::c_char>(),
        )
    };
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::umask(mask) };
}

/// Replaces this process. `argv` and `envp` are null-terminated arrays of pointers to NUL-terminated strings, made by
/// [`crate::launch::CStringArray`]. Returns only on failure.
pub fn execve(path: &CStr, argv: &[*const libc::c_char], envp: &[*const libc::c_char]) -> Errno {
    debug_assert!(argv.last().is_some_and(|p| p.is_null()) && envp.last().is_some_and(|p| p.is_null()));
    // SAFETY: the arrays end in null and their pointers come from CStrings that outlive this call (see above).
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Errno::last()
}

/// Replaces this process by the program in an open file; arguments as for [`execve`]. Returns only on failure.
pub fn execve_fd(
    program: BorrowedFd<'_>,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> Errno {
    debug_assert!(argv.last().is_some_and(|p| p.is_null()) && envp.last().is_some_and(|p| p.is_null()));
    // SAFETY: as in `execve`; the path is the empty string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}
