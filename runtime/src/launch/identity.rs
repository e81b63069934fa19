//! The last steps before exec, the same for a container's first process and for one that joins it: working directory,
//! limits, user, capabilities, seccomp. Allocates nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confined::{ensure_in_root, open_in_root};
use super::failure::{Failure, Record, RecordKind, Step, at};
use super::plan::{Capabilities, SeccompFilter, TargetKind};
use super::prepare::PreparedProcess;
use super::spawn::StandardStreams;
use crate::sys::{self, CapSet, Errno, SysResult};

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;

/// Tells the parent.
pub(super) fn report(channel: BorrowedFd<'_>, kind: RecordKind) -> SysResult<()> {
    report_with(channel, kind, &[])
}

/// As [`report`], with a text; also to a pipe.
pub(super) fn report_with(channel: BorrowedFd<'_>, kind: RecordKind, text: &[u8]) -> SysResult<()> {
    let mut message = [0; Record::SIZE + Record::TEXT];
    message[..Record::SIZE].copy_from_slice(&Record { kind }.encode());
    let n = text.len().min(Record::TEXT);
    message[Record::SIZE..Record::SIZE + n].copy_from_slice(&text[..n]);
    // Written, not sent: a seccomp filter may be in force that knows no sockets.
    sys::write_fd(channel, &message[..Record::SIZE + n]).map(|_| ())
}

/// Puts the streams on descriptors 0 to 2.
pub(super) fn connect(streams: &StandardStreams) -> SysResult<()> {
    sys::duplicate_to(streams.stdin.as_fd(), 0)?;
    sys::duplicate_to(streams.stdout.as_fd(), 1)?;
    sys::duplicate_to(streams.stderr.as_fd(), 2)
}

/// What is done or opened through the host's procfs, before it is out of reach.
#[derive(Debug)]
pub(super) struct Early {
    label: Option<OwnedFd>,
    may_set_groups: bool,
}

/// What of [`Early`] the end needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    may_set_groups: bool,
}

impl Early {
    /// `host` is a root directory whose procfs the caller trusts.
    pub(super) fn new(
        process: &PreparedProcess,
        host: BorrowedFd<'_>,
        in_user: bool,
    ) -> Result<Self, Failure> {
        set_oom_score(process, host).map_err(at(Step::OomScore, 0))?;
        let label = process.label.as_ref().map(|label| label.open(host)).transpose();
        Ok(Self {
            label: label.map_err(at(Step::Label, 0))?,
            may_set_groups: !in_user || may_set_groups(host),
        })
    }

    /// After entering another user namespace, which has its own say about groups.
    pub(super) fn in_other_user(self, host: BorrowedFd<'_>) -> Self {
        Self {
            may_set_groups: may_set_groups(host),
            ..self
        }
    }

    /// Takes the label, which the next exec has, also that of a child; nothing of the host's is left open.
    pub(super) fn done(self, process: &PreparedProcess) -> Result<Allowed, Failure> {
        if let (Some(label), Some(file)) = (&process.label, &self.label) {
            label.write(file.as_fd()).map_err(at(Step::Label, 0))?;
        }
        Ok(Allowed {
            may_set_groups: self.may_set_groups,
        })
    }
}

/// Whether the user namespace that we are in lets its root change supplementary groups (user_namespaces(7)).
fn may_set_groups(host: BorrowedFd<'_>) -> bool {
    let mut text = [0; 8];
    let read = sys::open_at(host, c"proc/self/setgroups", libc::O_RDONLY, 0)
        .and_then(|file| sys::read_fd(file.as_fd(), &mut text));
    !(read.is_ok() && text.starts_with(b"deny"))
}

/// Writes `oom_score_adj`. Lowering it needs a privilege that nobody may have given us; the kernel's refusal is then no
/// reason not to start.
fn set_oom_score(process: &PreparedProcess, host: BorrowedFd<'_>) -> SysResult<()> {
    let Some(score) = &process.oom_score_adj else {
        return Ok(());
    };
    let write = || {
        let file = sys::open_at(host, c"proc/self/oom_score_adj", libc::O_WRONLY, 0)?;
        sys::write_fd(file.as_fd(), score.to_bytes())
    };
    match write() {
        Ok(_) | Err(Errno(libc::EACCES | libc::EPERM)) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Becomes root of the user namespace that we are in: so far we are a user who has no number in it.
pub(super) fn become_root(early: &Early) -> SysResult<()> {
    if early.may_set_groups {
        sys::set_groups(&[])?;
    }
    sys::set_uid_gid(0, 0)
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

/// How the kernel treats the process, all of which may take privileges that it will not keep.
fn set_scheduling(process: &PreparedProcess) -> Result<(), Failure> {
    if let Some(scheduler) = &process.scheduler {
        sys::set_scheduler(scheduler).map_err(at(Step::Scheduler, 0))?;
    }
    if let Some(priority) = process.io_priority {
        sys::set_io_priority(priority).map_err(at(Step::IoPriority, 0))?;
    }
    if !process.affinity.is_empty() {
        sys::set_affinity(&process.affinity).map_err(at(Step::Affinity, 0))?;
    }
    if let Some((mode, nodes)) = &process.memory_policy {
        sys::set_memory_policy(*mode, nodes).map_err(at(Step::MemoryPolicy, 0))?;
    }
    if let Some(personality) = process.personality {
        sys::set_personality(personality).map_err(at(Step::Personality, 0))?;
    }
    for (index, limit) in process.rlimits.iter().enumerate() {
        sys::set_rlimit(limit.resource, limit.soft, limit.hard).map_err(at(Step::Rlimit, index))?;
    }
    Ok(())
}

/// Only what we hold ourselves can be given on: asking for more would fail for want of a privilege that the container may
/// never use.
fn grantable(wanted: Capabilities, own: u64) -> Capabilities {
    let permitted = wanted.permitted & own;
    let inheritable = wanted.inheritable & own;
    Capabilities {
        bounding: wanted.bounding & own,
        effective: wanted.effective & permitted,
        permitted,
        inheritable,
        ambient: wanted.ambient & permitted & inheritable,
    }
}

/// Becomes what the plan says; then only [`exec`] is left.
pub(super) fn assume(
    process: &PreparedProcess,
    root: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    allowed: Allowed,
    make_cwd: bool,
) -> Result<(), Failure> {
    if let Some(home) = &process.home {
        home.look_up(root, process.uid);
    }
    set_scheduling(process)?;
    let own = sys::get_permitted().map_err(at(Step::Capabilities, 0))?;
    let caps = grantable(process.capabilities, own);
    let entered = enter_directory(process, root, make_cwd);
    sys::set_umask(process.umask);
    sys::drop_bounding_above(caps.bounding).map_err(at(Step::Bounding, 0))?;
    sys::set_keep_caps().map_err(at(Step::Capabilities, 0))?;
    if allowed.may_set_groups {
        sys::set_groups(&process.groups).map_err(at(Step::Groups, 0))?;
    } else if !process.groups.is_empty() {
        return Err(at(Step::Groups, 0)(Errno(libc::EPERM)));
    }
    sys::set_uid_gid(process.uid, process.gid).map_err(at(Step::Ids, 0))?;
    // A directory that only its user may enter, and not root: on a network, or in a user namespace.
    match entered {
        Err(Errno(libc::EACCES)) => enter_directory(process, root, false),
        other => other,
    }
    .map_err(at(Step::WorkingDirectory, 0))?;
    pass_descriptors(process.preserve_fds).map_err(at(Step::Descriptors, 0))?;
    // Without no-new-privileges a filter needs CAP_SYS_ADMIN, so it goes in before capabilities go; with it, last, so
    // that the filter need not allow what comes before.
    let filter_first = process.seccomp.as_ref().filter(|_| !process.no_new_privileges);
    if let Some(filter) = filter_first {
        sys::set_capabilities(CapSet {
            effective: own & (SYS_ADMIN | caps.effective),
            permitted: own,
            inheritable: 0,
        })
        .map_err(at(Step::Capabilities, 0))?;
        install(filter, channel)?;
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
        if let Some(filter) = &process.seccomp {
            install(filter, channel)?;
        }
    }
    Ok(())
}

/// Keeps `count` descriptors from 3 on across the exec, and none else.
fn pass_descriptors(count: u32) -> SysResult<()> {
    let first = 3 + count as i32;
    for fd in 3..first {
        sys::keep_across_exec(fd)?;
    }
    sys::cloexec_from(first)
}

fn install(filter: &SeccompFilter, channel: BorrowedFd<'_>) -> Result<(), Failure> {
    let listens = filter.listener.is_some();
    let listener =
        sys::install_filter(&filter.program, filter.flags, listens).map_err(at(Step::Seccomp, 0))?;
    if let Some(listener) = listener {
        let kind = RecordKind::Listener;
        sys::send_with_fds(channel, &Record { kind }.encode(), &[listener.as_fd()])
            .map_err(at(Step::Listener, 0))?;
    }
    Ok(())
}

/// Tries every candidate as `execvp` does: not found goes on, permission denied goes on but is remembered.
pub(super) fn exec(process: &PreparedProcess) -> Errno {
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
