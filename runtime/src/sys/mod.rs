//! The system calls that this crate needs and no safe crate offers, each behind a safe function.
//!
//! The only unsafe code of the crate lives here. Nothing here decides anything, and nothing allocates unless its name
//! says so: these functions are called between `clone3` and `execve`, where the child shares the parent's (possibly
//! locked) heap. Errors are therefore plain [`Errno`] values.
#![allow(unsafe_code)] // raw system calls: this module is the project's border with the kernel

mod bpf;
mod creds;
mod fd;
mod lock;
mod mount;
mod namespace;
mod path;
mod poll;
mod process;
mod program;
mod scheduling;
mod seccomp;
mod socket;
mod tree;
mod tty;

pub use bpf::{attach_device_filter, load_device_filter};
pub use creds::{
    CapSet, drop_bounding_above, get_bounding, get_permitted, no_new_privileges, own_ids, raise_ambient,
    set_capabilities, set_groups, set_keep_caps, set_rlimit, set_uid_gid,
};
pub use fd::{
    cloexec_from, close_all_but, close_from, close_in_child, duplicate, duplicate_to, executable_memory_file,
    is_open, keep_across_exec, memory_file, pipe, pipe_size, random_bytes, read_fd, seal, sealed_memory_file,
    set_nonblocking, write_fd,
};
pub use lock::{lock_exclusive, lock_holder, lock_owned};
pub use mount::{
    Attributes, MountFs, change_root, fs_type, make_tree_private, mount_map_ids, mount_set_attributes,
    mount_tmpfs, mount_with_text, move_mount, open_tree, pivot_into, unmount,
};
pub use namespace::{enter, loopback_up, set_domainname, set_hostname, unshare};
pub use path::{
    FileKind, Stat, chdir_fd, check_executable, chmod_at, chmod_fd, chown_at, chown_fd, identity_of,
    mkdir_at, mknod_at, open_at, open_at2, open_path, read_link_at, remove_dir_at, stat_fd, symlink_at,
    truncate,
};
pub use poll::{
    Epoll, Ready, all_signals_fd, child_signal_fd, drain_signal_fd, poll_priority, poll_readable, poll_two,
    read_signal,
};
pub use process::{
    Child, CloneRequest, Exit, become_session_leader, block_child_signal, clone_plainly, clone_process,
    execve, execve_fd, exit_now, fork_process, ignore_child_signal, kill_pid, new_session_keyring, own_pid,
    pause, pidfd_open, pidfd_signal, reset_signals, set_dumpable, set_parent_death_signal, set_subreaper,
    set_umask, wait_any, wait_pidfd,
};
pub use program::release_program_pages;
pub use scheduling::{
    SchedulerAttributes, set_affinity, set_io_priority, set_memory_policy, set_personality, set_scheduler,
};
pub use seccomp::{install_filter, knows_action};
pub use socket::{receive_with_fds, send_with_fds, seq_pair};
pub use tree::{Entries, copy_data, copy_times, copy_xattrs};
pub use tty::{
    TerminalSettings, become_controlling_terminal, make_raw, open_peer, restore_settings, set_size, size_of,
    unlock_terminal,
};

/// A kernel error number, as a plain value that needs no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// What the last failed C library call of this thread left behind.
    pub fn last() -> Self {
        Self(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Result of a system call.
pub type SysResult<T> = Result<T, Errno>;

/// Writes a number in decimal to the front of `out`, which must have room (20 bytes are enough); its length. Allocates
/// nothing.
pub fn decimal(number: u64, out: &mut [u8]) -> usize {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let length = (digits.len() - at).min(out.len());
    out[..length].copy_from_slice(&digits[at..at + length]);
    length
}

/// Turns the C convention (negative is an error) into a result.
fn check(value: libc::c_long) -> SysResult<i64> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}

/// As [`check`], for calls that return a C `int`.
fn check_int(value: libc::c_int) -> SysResult<i32> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}
