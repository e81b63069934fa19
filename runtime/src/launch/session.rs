//! The child that joins a running container. Allocates nothing.
//!
//! What is seen in a container, behind `/proc/PID/root` and `/proc/PID/fd`, must not lead out of it (CVE-2016-9962), and
//! with CAP_SYS_PTRACE a container sees it all. The child therefore enters everything but the process namespace first,
//! closes whatever the container is not to have, and leaves the rest to a sibling that is born inside.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::failure::{Failure, RecordKind, Step, at};
use super::identity::{self, Allowed, Early};
use super::prepare::PreparedProcess;
use super::sibling::Leash;
use super::spawn::StandardStreams;
use super::terminal;
use crate::sys;

/// The container that is joined.
#[derive(Debug)]
pub(super) struct Target<'fd> {
    /// Its first process.
    pub init: BorrowedFd<'fd>,
    /// `CLONE_NEW*` kinds of its namespaces that are not ours, but for that of processes.
    pub kinds: i32,
    /// Whether its process namespace is not ours.
    pub processes: bool,
    /// Whether there, or here, a user namespace is not the machine's first.
    pub in_user: bool,
}

/// Joins, then execs, itself or as a sibling. Returns (for the process to end) only when there is nothing more to do.
pub(super) fn run(
    process: &PreparedProcess,
    target: &Target<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
    leash: &Leash,
) {
    if let Err(failure) = join(process, target, channel, streams, leash) {
        let _ = identity::report(channel, RecordKind::Failed(failure)); // to whoever is left
    }
}

fn join(
    process: &PreparedProcess,
    target: &Target<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
    leash: &Leash,
) -> Result<(), Failure> {
    sys::reset_signals().map_err(at(Step::Signals, 0))?;
    let (root, allowed) = enter(process, target)?;
    if let Some(streams) = streams.filter(|_| !process.terminal) {
        identity::connect(streams).map_err(at(Step::Descriptors, 0))?;
    }
    let [until, release] = if target.processes {
        sys::enter(target.init, libc::CLONE_NEWPID).map_err(at(Step::Join, 2))?;
        leash.fds()
    } else {
        [channel; 2]
    };
    let mut kept = [channel, root.as_fd(), until, release].map(|fd| fd.as_raw_fd());
    sys::close_all_but(3 + process.preserve_fds as i32, &mut kept).map_err(at(Step::Descriptors, 0))?;
    if !target.processes {
        return become_it(process, root.as_fd(), channel, allowed);
    }
    let born = leash.clone_sibling(0, channel, || {
        if let Err(failure) = become_it(process, root.as_fd(), channel, allowed) {
            let _ = identity::report(channel, RecordKind::Failed(failure)); // to whoever is left
        }
    });
    born.map_err(at(Step::Join, 3))
}

/// Enters all but the process namespace, which also moves our root and working directory: the container's root.
fn enter(process: &PreparedProcess, target: &Target<'_>) -> Result<(OwnedFd, Allowed), Failure> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let host_root = sys::open_path(c"/", flags).map_err(at(Step::OomScore, 0))?;
    let other_user = target.kinds & libc::CLONE_NEWUSER != 0;
    // What it says of groups is asked there.
    let before = Early::new(process, host_root.as_fd(), target.in_user && !other_user)?;
    sys::enter(target.init, target.kinds).map_err(at(Step::Join, 0))?;
    let early = if other_user {
        before.in_other_user(host_root.as_fd())
    } else {
        before
    };
    let root = sys::open_path(c"/", flags).map_err(at(Step::Join, 1))?;
    if other_user {
        identity::become_root(&early).map_err(at(Step::UserNamespace, 1))?;
    }
    Ok((root, early.done(process)?))
}

/// From inside all namespaces to the program. Returns only after a failure.
fn become_it(
    process: &PreparedProcess,
    root: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    allowed: Allowed,
) -> Result<(), Failure> {
    sys::become_session_leader().map_err(at(Step::Signals, 0))?;
    sys::new_session_keyring();
    if process.terminal {
        let slave = terminal::make(root, channel, process.uid, process.size).map_err(at(Step::Console, 0))?;
        terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2))?;
    }
    identity::assume(process, root, channel, allowed, false)?;
    Err(at(Step::Exec, 0)(identity::exec(process)))
}
