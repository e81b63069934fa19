//! The parent's side of a launch: cloning the child into its namespaces and cgroup, and talking to it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::channel::Channel;
use super::container::Surroundings;
use super::error::SpawnError;
use super::failure::{Failure, RecordKind, Step};
use super::plan::{MountSource, Plan, Process};
use super::prepare::{PreparedContainer, PreparedProcess, c_string};
use super::session::Target;
use super::sibling::{self, Leash};
use super::{container, ids, labels, session};
use crate::sys::{self, Child, CloneRequest, Errno};

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
    /// Somebody writes to this named pipe, which is open for reading and writing (the OCI command line). It closes with
    /// the exec; before a failure, what failed is written to it.
    Fifo(OwnedFd),
}

/// A child under way.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub child: Child,
    /// The conversation with it.
    pub channel: Channel,
}

/// Puts this process into other namespaces for the sake of its coming children, until dropped.
#[derive(Debug, Default)]
struct Visit(Vec<(i32, File)>);

impl Visit {
    /// Enters one more namespace.
    fn enter(&mut self, kind: i32, target: BorrowedFd<'_>) -> Result<(), SpawnError> {
        let (name, words) = match kind {
            libc::CLONE_NEWPID => ("pid", "entering the pid namespace"),
            libc::CLONE_NEWNET => ("net", "entering the network namespace"),
            libc::CLONE_NEWIPC => ("ipc", "entering the ipc namespace"),
            libc::CLONE_NEWUTS => ("uts", "entering the uts namespace"),
            libc::CLONE_NEWNS => ("mnt", "entering the mount namespace"),
            _ => ("cgroup", "entering the cgroup namespace"),
        };
        let path = format!("/proc/self/ns/{name}");
        let own =
            File::open(&path).map_err(|e| SpawnError::new(format!("opening {path}"), Errno::from(e)))?;
        sys::enter(target, kind).map_err(|errno| SpawnError::new(words.to_owned(), errno))?;
        self.0.push((kind, own));
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for (kind, own) in self.0.drain(..).rev() {
            // Going back to one's own namespace is always permitted to who could leave it; should it fail all the same,
            // the next launch into a fresh namespace fails, and says so.
            let _ = sys::enter(own.as_fd(), kind);
        }
    }
}

fn open_cgroup(path: Option<&str>) -> Result<Option<OwnedFd>, SpawnError> {
    let Some(path) = path else { return Ok(None) };
    sys::open_path(&c_string(path)?, libc::O_DIRECTORY | libc::O_PATH)
        .map(Some)
        .map_err(|errno| SpawnError::new(format!("opening cgroup {path}"), errno))
}

/// Clones the first process of a container. It sets everything up, reports [`RecordKind::Ready`], and execs when the
/// gate opens. `rootfs` is a detached mount of the root filesystem; `stage` a mount namespace for it to come from.
///
/// Call from a single-threaded process only (see [`sys::clone_process`]).
#[allow(clippy::needless_pass_by_value)] // closed when the child has them
pub fn spawn_container(
    plan: &Plan,
    rootfs: OwnedFd,
    streams: Option<StandardStreams>,
    gate: Gate,
    stage: Option<BorrowedFd<'_>>,
) -> Result<Launched, SpawnError> {
    let asks_for_context = |mount: &super::Mount| match &mount.source {
        MountSource::Filesystem { options, .. } => options.iter().any(|(key, _)| key == "context"),
        _ => false,
    };
    labels::check_contexts(plan.mounts.iter().any(asks_for_context))?;
    let prepared = PreparedContainer::new(plan, rootfs)?;
    let cgroup = open_cgroup(plan.cgroup.as_deref())?;
    let (ours, theirs) = channel_pair()?;
    let launch = Launch {
        prepared: &prepared,
        around: Surroundings {
            channel: theirs.as_fd(),
            streams: streams.as_ref(),
            gate: &gate,
        },
        namespaces: plan.namespaces.fresh,
        stage,
    };
    let launched = if prepared.namespaces.join_user.is_some() {
        launch.through_another(ours, cgroup.as_ref())?
    } else {
        launch.directly(ours, cgroup.as_ref())?
    };
    if plan.namespaces.fresh & libc::CLONE_NEWUSER as u64 != 0 {
        let mapped = ids::write_maps(
            launched.child.pid,
            &plan.namespaces.uid_map,
            &plan.namespaces.gid_map,
        )
        .and_then(|()| {
            let told = launched.channel.open_gate();
            told.map_err(|errno| SpawnError::new("talking to the container's process".to_owned(), errno))
        });
        if let Err(error) = mapped {
            let _ = sys::pidfd_signal(launched.child.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::wait_pidfd(launched.child.pidfd.as_fd());
            return Err(error);
        }
    }
    Ok(launched)
}

/// One launch of a container, prepared.
struct Launch<'a> {
    prepared: &'a PreparedContainer,
    around: Surroundings<'a>,
    namespaces: u64,
    stage: Option<BorrowedFd<'a>>,
}

impl Launch<'_> {
    fn child(&self, ours: BorrowedFd<'_>) {
        sys::close_in_child(ours);
        container::run(self.prepared, self.around);
    }

    /// Straight into all namespaces.
    fn directly(&self, ours: OwnedFd, cgroup: Option<&OwnedFd>) -> Result<Launched, SpawnError> {
        let mut visit = Visit::default();
        for (kind, fd) in &self.prepared.namespaces.join_before {
            visit.enter(*kind, fd.as_fd())?;
        }
        if let Some(stage) = self.stage {
            visit.enter(libc::CLONE_NEWNS, stage)?; // which also moves our root and working directory
        }
        let request = CloneRequest {
            namespaces: self.namespaces,
            cgroup: cgroup.map(AsFd::as_fd),
            sibling: false,
        };
        let child = sys::clone_process(&request, || self.child(ours.as_fd()))
            .map_err(|errno| SpawnError::new("cloning the container's first process".to_owned(), errno))?;
        Ok(Launched {
            child,
            channel: Channel(ours),
        })
    }

    /// Through a process that enters an existing user namespace, from which there is no way back: only what is made in
    /// there belongs to it.
    fn through_another(&self, ours: OwnedFd, cgroup: Option<&OwnedFd>) -> Result<Launched, SpawnError> {
        let request = CloneRequest {
            cgroup: cgroup.map(AsFd::as_fd),
            ..CloneRequest::default()
        };
        let failed = |errno| SpawnError::new("cloning into the user namespace".to_owned(), errno);
        let leash = Leash::new().map_err(failed)?;
        let go_between = sys::clone_process(&request, || {
            if let Err(failure) = self.go_between(&leash, ours.as_fd()) {
                let _ = super::identity::report(self.around.channel, RecordKind::Failed(failure));
            }
            sys::exit_now(0);
        })
        .map_err(failed)?;
        drop(leash); // so that a child whose go-between is killed hears of it
        sibling::adopt(&go_between, Channel(ours), "the container's first process")
    }

    /// In the process between: some namespaces can only be entered from outside the user namespace (those of the
    /// machine), some only from inside.
    fn go_between(&self, leash: &Leash, ours: BorrowedFd<'_>) -> Result<(), Failure> {
        let namespaces = &self.prepared.namespaces;
        let failed = |step, index| super::failure::at(step, index);
        let mut inside = 0u64;
        for (index, (kind, fd)) in namespaces.join_before.iter().enumerate() {
            match sys::enter(fd.as_fd(), *kind) {
                Err(Errno(libc::EPERM)) if index < 64 => inside |= 1 << index,
                other => other.map_err(failed(Step::Join, index))?,
            }
        }
        if let Some(user) = &namespaces.join_user {
            sys::enter(user.as_fd(), libc::CLONE_NEWUSER).map_err(failed(Step::UserNamespace, 0))?;
        }
        for (index, (kind, fd)) in namespaces.join_before.iter().enumerate() {
            if inside & (1 << index) != 0 {
                sys::enter(fd.as_fd(), *kind).map_err(failed(Step::Join, index))?;
            }
        }
        leash
            .clone_sibling(self.namespaces, self.around.channel, || self.child(ours))
            .map_err(failed(Step::UserNamespace, 2))
    }
}

/// `CLONE_NEW*` kinds in which a process differs from us. The others need not be entered, and may not be: in a user
/// namespace, not even one's own are open if they are the machine's.
fn foreign(pid: i32) -> Result<i32, SpawnError> {
    let mut kinds = 0;
    for (name, kind) in [
        ("mnt", libc::CLONE_NEWNS),
        ("cgroup", libc::CLONE_NEWCGROUP),
        ("net", libc::CLONE_NEWNET),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("pid", libc::CLONE_NEWPID),
        ("user", libc::CLONE_NEWUSER),
        ("time", libc::CLONE_NEWTIME),
    ] {
        let identity = |whose: &str| {
            let path = super::prepare::c_string(&format!("/proc/{whose}/ns/{name}"))?;
            sys::identity_of(&path).map_or_else(
                |errno| match errno {
                    Errno(libc::ENOENT) => Ok(None), // a kernel without this kind
                    errno => Err(SpawnError::new(format!("looking at namespace {name}"), errno)),
                },
                |id| Ok(Some(id)),
            )
        };
        if identity("self")? != identity(&pid.to_string())? {
            kinds |= kind;
        }
    }
    Ok(kinds)
}

/// Clones a process into the namespaces of the one behind `init`, whose id is `init_pid`, and into `cgroup`. It execs at
/// once.
///
/// Call from a single-threaded process only (see [`sys::clone_process`]).
#[allow(clippy::needless_pass_by_value)] // closed when the child has them
pub fn spawn_session(
    process: &Process,
    init: BorrowedFd<'_>,
    init_pid: i32,
    cgroup: Option<&str>,
    streams: Option<StandardStreams>,
) -> Result<Launched, SpawnError> {
    let prepared = PreparedProcess::new(process)?;
    ids::join_without_privileges(init, init_pid)?;
    let foreign = foreign(init_pid)?;
    let target = Target {
        init,
        kinds: foreign & !libc::CLONE_NEWPID,
        processes: foreign & libc::CLONE_NEWPID != 0,
        in_user: ids::in_user_namespace(),
    };
    let cgroup = open_cgroup(cgroup)?;
    let (ours, theirs) = channel_pair()?;
    let cloning = |errno| SpawnError::new("cloning the process".to_owned(), errno);
    let leash = Leash::new().map_err(cloning)?;
    let request = CloneRequest {
        namespaces: 0,
        cgroup: cgroup.as_ref().map(AsFd::as_fd),
        sibling: false,
    };
    let child = sys::clone_process(&request, || {
        sys::close_in_child(ours.as_fd());
        session::run(&prepared, &target, theirs.as_fd(), streams.as_ref(), &leash);
    })
    .map_err(cloning)?;
    drop((theirs, leash));
    let channel = Channel(ours);
    if target.processes {
        return sibling::adopt(&child, channel, "the process");
    }
    Ok(Launched { child, channel })
}

fn channel_pair() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    sys::seq_pair().map_err(|errno| SpawnError::new("making a socket pair".to_owned(), errno))
}
