//! The last steps before exec, the same for a container's first process and for one that joins it: working directory,
//! limits, user, capabilities, seccomp. Allocates nothing.

use std::os::fd::{AsFd, BorrowedFd};

use super::confined::{ensure_in_root, open_in_root};
use super::failure::{Failure, Record, RecordKind, Step, at};
use super::plan::TargetKind;
use super::prepare::PreparedProcess;
use super::spawn::StandardStreams;
use crate::sys::{self, CapSet, Errno, SysResult};

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;

/// Tells the parent, best effort: if it is gone, nobody listens.
pub(super) fn report(channel: BorrowedFd<'_>, kind: RecordKind) {
    let _ = sys::send_with_fds(channel, &Record { kind }.encode(), &[]);
}

/// Puts the streams on descriptors 0 to 2.
pub(super) fn connect(streams: &StandardStreams) -> SysResult<()> {
    sys::duplicate_to(streams.stdin.as_fd(), 0)?;
    sys::duplicate_to(streams.stdout.as_fd(), 1)?;
    sys::duplicate_to(streams.stderr.as_fd(), 2)
}

/// Writes `oom_score_adj`, through a procfs that the caller trusts. Lowering it needs a privilege that nobody may have
/// given us; the kernel's refusal is then no reason not to start.
pub(super) fn set_oom_score(process: &PreparedProcess, root: BorrowedFd<'_>) -> SysResult<()> {
    let Some(score) = &process.oom_score_adj else {
        return Ok(());
    };
    let file = sys::open_at(root, c"proc/self/oom_score_adj", libc::O_WRONLY, 0)?;
    match sys::write_fd(file.as_fd(), score.to_bytes()) {
        Ok(_) | Err(Errno(libc::EACCES | libc::EPERM)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Enters the working directory. No magic link is followed: `/proc/self/fd/N` would lead out through a descriptor.
fn enter_directory(process: &PreparedProcess, root: BorrowedFd<'_>, make: bool) -> SysResult<()> {
    let directory = if make {
        ensure_in_root(root, &process.cwd, TargetKind::Directory)?
    } else {
        open_in_root(root, &process.cwd, libc::O_PATH | libc::O_DIRECTORY)?
    };
    sys::chdir_fd(directory.as_fd())
}

/// Becomes what the plan says and execs. Returns only on failure.
pub(super) fn assume_and_exec(process: &PreparedProcess, root: BorrowedFd<'_>, make_cwd: bool) -> Failure {
    match assume(process, root, make_cwd) {
        Ok(()) => at(Step::Exec, 0)(exec(process)),
        Err(failure) => failure,
    }
}

fn assume(process: &PreparedProcess, root: BorrowedFd<'_>, make_cwd: bool) -> Result<(), Failure> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        sys::set_rlimit(limit.resource, limit.soft, limit.hard).map_err(at(Step::Rlimit, index))?;
    }
    enter_directory(process, root, make_cwd).map_err(at(Step::WorkingDirectory, 0))?;
    sys::set_umask(process.umask);
    let caps = process.capabilities;
    sys::drop_bounding_above(caps.bounding).map_err(at(Step::Bounding, 0))?;
    sys::set_keep_caps().map_err(at(Step::Capabilities, 0))?;
    sys::set_groups(&process.groups).map_err(at(Step::Ids, 0))?;
    sys::set_uid_gid(process.uid, process.gid).map_err(at(Step::Ids, 0))?;
    // Without no-new-privileges a filter needs CAP_SYS_ADMIN, so it goes in before capabilities go; with it, last, so
    // that the filter need not allow what comes before.
    let filter_first = !process.no_new_privileges && !process.seccomp.is_empty();
    if filter_first {
        let effective = process.own_permitted & (SYS_ADMIN | caps.effective);
        sys::set_capabilities(CapSet {
            effective,
            permitted: process.own_permitted,
            inheritable: 0,
        })
        .map_err(at(Step::Capabilities, 0))?;
        install(process)?;
    }
    let set = CapSet {
        effective: caps.effective,
        permitted: caps.permitted,
        inheritable: caps.inheritable,
    };
    sys::set_capabilities(set).map_err(at(Step::Capabilities, 0))?;
    sys::raise_ambient(caps.ambient).map_err(at(Step::Capabilities, 0))?;
    if process.no_new_privileges {
        sys::no_new_privileges().map_err(at(Step::Seccomp, 0))?;
        install(process)?;
    }
    sys::cloexec_from(3).map_err(at(Step::Descriptors, 0))
}

fn install(process: &PreparedProcess) -> Result<(), Failure> {
    for (index, filter) in process.seccomp.iter().enumerate() {
        sys::install_filter(filter).map_err(at(Step::Seccomp, index))?;
    }
    Ok(())
}

/// Tries every candidate as `execvp` does: not found goes on, permission denied goes on but is remembered.
fn exec(process: &PreparedProcess) -> Errno {
    let mut answer = Errno(libc::ENOENT);
    for path in &process.candidates {
        match sys::execve(path, process.argv.as_slice(), process.envp.as_slice()) {
            Errno(libc::ENOENT | libc::ENOTDIR) => {}
            Errno(libc::EACCES) => answer = Errno(libc::EACCES),
            errno => return errno,
        }
    }
    answer
}

/// Whether there is a program to exec, as far as can be said before becoming the container's user.
pub(super) fn find_program(process: &PreparedProcess) -> SysResult<()> {
    let mut answer = Errno(libc::ENOENT);
    for path in &process.candidates {
        if !path.to_bytes().starts_with(b"/") {
            return Ok(()); // relative to a working directory that has not been entered
        }
        match sys::check_executable(path) {
            Ok(()) => return Ok(()),
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(errno) => answer = errno,
        }
    }
    Err(answer)
}
