//! The child that joins a running container (exec). Allocates nothing.

use std::os::fd::{AsFd, BorrowedFd};

use super::failure::{Failure, RecordKind, Step, at};
use super::prepare::PreparedProcess;
use super::spawn::StandardStreams;
use super::{identity, terminal};
use crate::sys;

/// Joins, then execs. Returns (for the process to end) only after a failure.
pub(super) fn run(
    process: &PreparedProcess,
    init: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
) {
    let failure = match join(process, init, channel, streams) {
        Ok(root) => identity::assume_and_exec(process, root.as_fd(), false),
        Err(failure) => failure,
    };
    identity::report(channel, RecordKind::Failed(failure));
}

fn join(
    process: &PreparedProcess,
    init: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
) -> Result<std::os::fd::OwnedFd, Failure> {
    sys::reset_signals().map_err(at(Step::Signals, 0))?;
    sys::become_session_leader().map_err(at(Step::Signals, 0))?;
    sys::new_session_keyring();
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let host_root = sys::open_path(c"/", flags).map_err(at(Step::OomScore, 0))?;
    identity::set_oom_score(process, host_root.as_fd()).map_err(at(Step::OomScore, 0))?;
    let kinds = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    sys::enter(init, kinds).map_err(at(Step::Join, 0))?; // also moves our root and working directory
    let root = sys::open_path(c"/", flags).map_err(at(Step::Join, 1))?;
    if process.terminal {
        let slave =
            terminal::make(root.as_fd(), channel, process.uid, process.size).map_err(at(Step::Console, 0))?;
        terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2))?;
    } else if let Some(streams) = streams {
        identity::connect(streams).map_err(at(Step::Descriptors, 0))?;
    }
    Ok(root)
}
