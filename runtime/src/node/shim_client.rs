//! Starting shims, and talking to them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Error;
use crate::shim::protocol::{self, Reply, Request, SandboxPlan};
use crate::wire::Wire;
use crate::{programs, sys};

/// How long a shim may take over a request. It answers in milliseconds; only one that is stuck in the kernel (a mount
/// source on a dead network file system) takes longer, and must not block the kubelet for ever.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts a pod's shim, which sets up the sandbox; returns when it serves. The shim shares `lock` until then (as its
/// standard error): should we be killed in between, whoever cleans up after us waits for it to be complete, and finds it.
pub(super) fn start(plan: &SandboxPlan, lock: OwnedFd) -> Result<(), Error> {
    let what = || format!("starting the shim of pod {}", plan.id);
    let program = programs::shim().map_err(Error::io("making the shim's memory file"))?;
    let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(lock))
        .spawn()
        .map_err(Error::io(what()))?;
    let mut answer = String::new();
    let exchange = || -> std::io::Result<()> {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&plan.to_bytes())?;
        }
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut answer)?;
        }
        Ok(())
    };
    let mut exchange = exchange;
    let exchanged = exchange();
    let status = child.wait().map_err(Error::io(what()))?; // the shim itself is its grandchild, and goes on
    exchanged.map_err(Error::io(what()))?;
    if answer == "ok" {
        return Ok(());
    }
    let why = if answer.is_empty() {
        format!("it ended with {status}")
    } else {
        answer
    };
    Err(Error::Io {
        what: what(),
        source: std::io::Error::other(why),
    })
}

/// Process id of the living shim of a pod directory. An error is no answer (no descriptors may be left): a pod whose shim
/// counts as dead is taken down.
pub(super) fn alive(pod: &Path) -> Result<Option<i32>, Error> {
    // A record lock: it goes with its process, and cannot be inherited. Opened for reading only: the end of a writer is
    // how `Events` notices the end of the shim.
    match File::open(pod.join("shim.lock")) {
        Ok(file) => sys::lock_holder(file.as_fd()).map_err(Error::io("asking for the shim's lock")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("opening the shim's lock")(error)),
    }
}

/// How long a session's small messages wait for room; the least that the kernel can wait.
const ROOM: Duration = Duration::from_millis(1);

/// A connection to a shim.
#[derive(Debug)]
pub(super) struct ShimConnection {
    pub socket: UnixStream,
    buffer: Vec<u8>,
}

impl ShimConnection {
    /// Connects to the shim of a pod directory. `NotFound`: there is none.
    pub(super) fn open(pod: &Path) -> Result<Self, Error> {
        let what = || format!("connecting to the shim in {}", pod.display());
        let missing = |source: std::io::Error| match source.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
                Error::NotFound(format!("shim in {}", pod.display()))
            }
            _ => Error::Io { what: what(), source },
        };
        let directory = File::open(pod).map_err(missing)?;
        // By way of the descriptor: the path may be longer than a socket address holds.
        let path = format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd());
        let socket = UnixStream::connect(path).map_err(missing)?;
        socket
            .set_read_timeout(Some(PATIENCE))
            .map_err(Error::io(what()))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// Sends a message without waiting for an answer.
    pub(super) fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        protocol::send(self.socket.as_fd(), request, fds).map_err(Error::io("sending to the shim"))
    }

    /// Receives a reply and the descriptors that come along.
    pub(super) fn receive(&mut self) -> Result<(Reply, Vec<OwnedFd>), Error> {
        let mut fds = Vec::new();
        let reply = protocol::receive(self.socket.as_fd(), &mut self.buffer, &mut fds)
            .map_err(Error::io("receiving from the shim"))?;
        Ok((reply, fds))
    }

    /// From now on, waits for the next reply as long as it takes, and to send next to not at all: an event loop sends here,
    /// and a shim that hangs must not stop it.
    pub(super) fn in_session(&self) -> Result<(), Error> {
        self.socket
            .set_read_timeout(None)
            .and_then(|()| self.socket.set_write_timeout(Some(ROOM)))
            .map_err(Error::io("configuring the shim's connection"))
    }
}

/// One request, one reply; failures as errors. `what` names the container.
pub(super) fn call(
    pod: &Path,
    what: &str,
    request: &Request,
    fds: &[BorrowedFd<'_>],
) -> Result<Reply, Error> {
    let mut connection = ShimConnection::open(pod)?;
    connection.send(request, fds)?;
    let (reply, _) = connection.receive()?;
    succeeded(what, reply)
}

/// Turns replies that tell of a failure into errors.
pub(super) fn succeeded(what: &str, reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Failed {
            message,
            exit_code: 0,
        } => Err(Error::Io {
            what: format!("container {what}"),
            source: std::io::Error::other(message),
        }),
        Reply::Failed { message, exit_code } => Err(Error::Start { message, exit_code }),
        Reply::NotFound {} => Err(Error::NotFound(what.to_owned())),
        reply => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_that_cannot_be_asked_for_is_not_dead() {
        let pod = tempfile::tempdir().unwrap();
        assert!(matches!(alive(pod.path()), Ok(None)));
        std::os::unix::fs::symlink("shim.lock", pod.path().join("shim.lock")).unwrap();
        assert!(alive(pod.path()).is_err());
    }

    #[test]
    fn a_shim_that_hangs_holds_up_no_session() {
        let (socket, _hangs) = UnixStream::pair().unwrap();
        let connection = ShimConnection {
            socket,
            buffer: Vec::new(),
        };
        connection.in_session().unwrap();
        let request = Request::Resize {
            columns: 80,
            rows: 25,
        };
        while connection.send(&request, &[]).is_ok() {}
    }
}
