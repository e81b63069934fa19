//! Going somewhere from which only a child can go on: a process between enters, clones a sibling there, that is a child
//! of its own parent, and ends. Allocates nothing on the child's side.

use std::os::fd::{AsFd, BorrowedFd};

use super::channel::Channel;
use super::error::SpawnError;
use super::failure::{Failure, Record, RecordKind};
use super::spawn::Launched;
use crate::sys::{self, Child, CloneRequest, Errno, SysResult};

/// What the sibling waits for before it does anything: until then its parent has not been told of it.
#[derive(Debug)]
pub(super) struct Leash {
    until: std::os::fd::OwnedFd,
    release: std::os::fd::OwnedFd,
}

impl Leash {
    pub(super) fn new() -> SysResult<Self> {
        let (until, release) = sys::pipe()?;
        Ok(Self { until, release })
    }

    /// Its descriptors, for whoever closes all others.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.until.as_fd(), self.release.as_fd()]
    }

    /// In the process between: clones the sibling, tells the parent of it, and lets it go on with `child`.
    pub(super) fn clone_sibling(
        &self,
        namespaces: u64,
        channel: BorrowedFd<'_>,
        child: impl FnOnce(),
    ) -> SysResult<()> {
        let request = CloneRequest {
            namespaces,
            cgroup: None, // we are in it
            sibling: true,
        };
        let born = sys::clone_process(&request, || {
            sys::close_in_child(self.release.as_fd());
            // Nothing comes if the process between was killed: then nobody knows of us.
            if sys::read_fd(self.until.as_fd(), &mut [0]) == Ok(1) {
                sys::close_in_child(self.until.as_fd());
                child();
            }
        })?;
        let record = Record {
            kind: RecordKind::Born(born.pid),
        };
        sys::send_with_fds(channel, &record.encode(), &[born.pidfd.as_fd()])?;
        sys::write_fd(self.release.as_fd(), b"x").map(|_| ())
    }
}

/// In the parent: waits for the process between, and takes over the child that it leaves. `what` it is, for a message.
pub(super) fn adopt(between: &Child, channel: Channel, what: &str) -> Result<Launched, SpawnError> {
    let waiting = |errno| SpawnError::new(format!("waiting for {what}"), errno);
    sys::wait_pidfd(between.pidfd.as_fd()).map_err(waiting)?;
    match channel.receive().map_err(waiting)? {
        Some((RecordKind::Born(pid), Some(pidfd))) => Ok(Launched {
            child: Child { pid, pidfd },
            channel,
        }),
        Some((RecordKind::Failed(Failure { step, errno, .. }), _)) => {
            Err(SpawnError::new(step.words().to_owned(), errno))
        }
        _ => Err(waiting(Errno(libc::ECHILD))),
    }
}
