//! The child that joins a running container. Allocates nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::failure::{Failure, RecordKind, Step, at};
use super::identity::{self, Early};
use super::prepare::PreparedProcess;
use super::spawn::StandardStreams;
use super::terminal;
use crate::sys;

/// The container that is joined.
#[derive(Debug)]
pub(super) struct Target<'fd> {
    /// Its first process.
    pub init: BorrowedFd<'fd>,
    /// `CLONE_NEW*` kinds of its namespaces that are not ours.
    pub kinds: i32,
    /// Whether there, or here, a user namespace is not the machine's first.
    pub in_user: bool,
}

/// Joins, then execs. Returns (for the process to end) only after a failure.
pub(super) fn run(
    process: &PreparedProcess,
    target: &Target<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
) {
    let failure = match join(process, target, channel, streams) {
        Ok(()) => at(Step::Exec, 0)(identity::exec(process)),
        Err(failure) => failure,
    };
    identity::report(channel, RecordKind::Failed(failure));
}

fn join(
    process: &PreparedProcess,
    target: &Target<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
) -> Result<(), Failure> {
    sys::reset_signals().map_err(at(Step::Signals, 0))?;
    sys::become_session_leader().map_err(at(Step::Signals, 0))?;
    sys::new_session_keyring();
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let host_root = sys::open_path(c"/", flags).map_err(at(Step::OomScore, 0))?;
    let other_user = target.kinds & libc::CLONE_NEWUSER != 0;
    // What it says of groups is asked there.
    let before = Early::new(process, host_root.as_fd(), target.in_user && !other_user)?;
    sys::enter(target.init, target.kinds).map_err(at(Step::Join, 0))?; // also moves our root and working directory
    let early = if other_user {
        before.in_other_user(host_root.as_fd())
    } else {
        before
    };
    let root: OwnedFd = sys::open_path(c"/", flags).map_err(at(Step::Join, 1))?;
    if other_user {
        identity::become_root(&early).map_err(at(Step::UserNamespace, 1))?;
    }
    if process.terminal {
        let slave =
            terminal::make(root.as_fd(), channel, process.uid, process.size).map_err(at(Step::Console, 0))?;
        terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2))?;
    } else if let Some(streams) = streams {
        identity::connect(streams).map_err(at(Step::Descriptors, 0))?;
    }
    identity::assume(process, root.as_fd(), channel, &early, false)
}
