//! The parent's side of a launch: cloning the child into its namespaces and cgroup, and talking to it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::failure::{Failure, Record, RecordKind, Step};
use super::plan::{MountSource, Plan, Process};
use super::prepare::{PreparedContainer, PreparedProcess};
use super::{container, session};
use crate::sys::{self, Child, CloneRequest, Errno, SysResult};

/// A launch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed, with names.
    pub message: String,
    /// The kernel's answer.
    pub errno: Errno,
    /// Exit code to report for the process that never ran: 127 not found, 126 not executable, 128 otherwise.
    pub exit_code: i32,
}

impl SpawnError {
    #[allow(clippy::needless_pass_by_value)] // nearly every caller has just formatted it
    pub(super) fn new(what: String, errno: Errno) -> Self {
        Self {
            message: format!("{what}: {errno}"),
            errno,
            exit_code: 128,
        }
    }

    /// Puts a child's report into words, with the names from the plan; for exec in runc's words, which tools look for.
    pub fn from_failure(failure: Failure, plan: Option<&Plan>, process: &Process) -> Self {
        let Failure { step, index, errno } = failure;
        if step == Step::Exec {
            return Self::from_exec(&process.args[0], errno);
        }
        let index = index as usize;
        let name = plan.and_then(|plan| match step {
            Step::Mount => plan.mounts.get(index).map(|mount| match &mount.source {
                MountSource::Filesystem { kind, .. } => format!("{kind} at {}", mount.target),
                MountSource::Bind { path, .. } => format!("{path} at {}", mount.target),
            }),
            Step::Device => plan.devices.get(index).map(|d| d.path.clone()),
            Step::Link => plan.links.get(index).map(|l| l.0.clone()),
            Step::Mask => plan.masked.get(index).cloned(),
            Step::ReadOnly => plan.read_only.get(index).cloned(),
            Step::Sysctl => plan.sysctls.get(index).map(|s| s.0.clone()),
            Step::WorkingDirectory => Some(format!("{:?}", process.cwd)),
            Step::Ids => Some(format!("{}:{}", process.uid, process.gid)),
            _ => None,
        });
        let words = step.words();
        let message = match name {
            Some(name) => format!("{words} {name}: {errno}"),
            None => format!("{words}: {errno}"),
        };
        Self {
            message,
            errno,
            exit_code: 128,
        }
    }

    fn from_exec(program: &str, errno: Errno) -> Self {
        let (message, exit_code) = match errno.0 {
            libc::ENOENT | libc::ENOTDIR if program.contains('/') => (
                format!("exec: {program:?}: stat {program}: no such file or directory"),
                127,
            ),
            libc::ENOENT | libc::ENOTDIR => (
                format!("exec: {program:?}: executable file not found in $PATH"),
                127,
            ),
            libc::EACCES | libc::EPERM => (format!("exec: {program:?}: permission denied"), 126),
            libc::EISDIR => (format!("exec: {program:?}: is a directory"), 126),
            libc::ENOEXEC => (format!("exec {program}: exec format error"), 126),
            _ => (format!("exec: {program:?}: {errno}"), 128),
        };
        Self {
            message,
            errno,
            exit_code,
        }
    }
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpawnError {}

/// What the process gets as descriptors 0, 1 and 2; ignored where it has a terminal.
#[derive(Debug)]
pub struct StandardStreams {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// What a created container waits for before it execs.
#[derive(Debug)]
pub enum Gate {
    /// [`Channel::open_gate`].
    Channel,
    /// Somebody opens the pipe `exec.fifo` of this directory for reading (the OCI command line).
    Fifo(OwnedFd),
    /// Nothing.
    Open,
}

/// Our end of the conversation with a child until it execs, when it closes.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Takes the child's next record, and a terminal's master if one came along. `None` when the child has exec'd (or
    /// died). Blocks unless the descriptor was made non-blocking.
    pub fn receive(&self) -> SysResult<Option<(RecordKind, Option<OwnedFd>)>> {
        let mut buffer = [0; Record::SIZE];
        let mut fds = Vec::new();
        let n = match sys::receive_with_fds(self.0.as_fd(), &mut buffer, &mut fds) {
            Ok(n) => n,
            // The child ended without reading what we had sent: the same as end of stream.
            Err(Errno(libc::ECONNRESET)) => 0,
            Err(errno) => return Err(errno),
        };
        if n == 0 {
            return Ok(None);
        }
        let record = Record::decode(&buffer[..n]).ok_or(Errno(libc::EBADMSG))?;
        Ok(Some((record.kind, fds.pop())))
    }

    /// Lets a created container run.
    pub fn open_gate(&self) -> SysResult<()> {
        sys::send_with_fds(self.0.as_fd(), b"go", &[]).map(|_| ())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A child under way.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub child: Child,
    /// The conversation with it.
    pub channel: Channel,
}

/// Makes this process's coming children be born in another pid namespace, until dropped.
struct PidNamespace(File);

impl PidNamespace {
    fn enter(target: BorrowedFd<'_>) -> Result<Self, SpawnError> {
        let own = File::open("/proc/self/ns/pid")
            .map_err(|e| SpawnError::new("opening /proc/self/ns/pid".to_owned(), Errno::from(e)))?;
        sys::enter(target, libc::CLONE_NEWPID)
            .map_err(|errno| SpawnError::new("entering the pid namespace".to_owned(), errno))?;
        Ok(Self(own))
    }
}

impl Drop for PidNamespace {
    fn drop(&mut self) {
        // Going back to one's own namespace is always permitted (pid_namespaces(7)); should it fail all the same, the
        // next launch into a fresh pid namespace fails, and says so.
        let _ = sys::enter(self.0.as_fd(), libc::CLONE_NEWPID);
    }
}

fn open_cgroup(path: Option<&str>) -> Result<Option<OwnedFd>, SpawnError> {
    let Some(path) = path else { return Ok(None) };
    let flags = libc::O_DIRECTORY | libc::O_PATH;
    let file = File::options().read(true).custom_flags(flags).open(path);
    file.map(|f| Some(f.into()))
        .map_err(|e| SpawnError::new(format!("opening cgroup {path}"), Errno::from(e)))
}

/// Clones the first process of a container. It sets everything up, reports [`RecordKind::Ready`], and execs when the
/// gate opens. `rootfs` is a detached mount of the root filesystem.
///
/// Call from a single-threaded process only (see [`sys::clone_process`]).
#[allow(clippy::needless_pass_by_value)] // closed when the child has them
pub fn spawn_container(
    plan: &Plan,
    rootfs: OwnedFd,
    streams: Option<StandardStreams>,
    gate: Gate,
) -> Result<Launched, SpawnError> {
    let prepared = PreparedContainer::new(plan, rootfs)?;
    let cgroup = open_cgroup(plan.cgroup.as_deref())?;
    let (ours, theirs) = channel_pair()?;
    let joined = prepared.join.iter().find(|(kind, _)| *kind == libc::CLONE_NEWPID);
    let _in_pid_namespace = joined
        .map(|(_, fd)| PidNamespace::enter(fd.as_fd()))
        .transpose()?;
    let request = CloneRequest {
        namespaces: plan.namespaces.fresh,
        cgroup: cgroup.as_ref().map(AsFd::as_fd),
    };
    let child = sys::clone_process(&request, || {
        sys::close_in_child(ours.as_fd());
        container::run(&prepared, theirs.as_fd(), streams.as_ref(), &gate);
    })
    .map_err(|errno| SpawnError::new("cloning the container's first process".to_owned(), errno))?;
    Ok(Launched {
        child,
        channel: Channel(ours),
    })
}

/// Clones a process into the namespaces of the one behind `init`, and into `cgroup`. It execs at once.
///
/// Call from a single-threaded process only (see [`sys::clone_process`]).
#[allow(clippy::needless_pass_by_value)] // closed when the child has them
pub fn spawn_session(
    process: &Process,
    init: BorrowedFd<'_>,
    cgroup: Option<&str>,
    streams: Option<StandardStreams>,
) -> Result<Launched, SpawnError> {
    let prepared = PreparedProcess::new(process)?;
    let cgroup = open_cgroup(cgroup)?;
    let (ours, theirs) = channel_pair()?;
    let _in_pid_namespace = PidNamespace::enter(init)?;
    let request = CloneRequest {
        namespaces: 0,
        cgroup: cgroup.as_ref().map(AsFd::as_fd),
    };
    let child = sys::clone_process(&request, || {
        sys::close_in_child(ours.as_fd());
        session::run(&prepared, init, theirs.as_fd(), streams.as_ref());
    })
    .map_err(|errno| SpawnError::new("cloning the process".to_owned(), errno))?;
    Ok(Launched {
        child,
        channel: Channel(ours),
    })
}

fn channel_pair() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    sys::seq_pair().map_err(|errno| SpawnError::new("making a socket pair".to_owned(), errno))
}
