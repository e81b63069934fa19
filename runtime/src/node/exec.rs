//! Exec and attach sessions, seen from the runtime's side.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::runtime::Inner;
use super::shim_client::{ShimConnection, succeeded};
use super::{Error, ExecSpec, containers};
use crate::shim::protocol::{Reply, Request};
use crate::sys;

/// A running exec or attach session. Dropping it closes our ends; an exec'd process then sees EOF and SIGHUP if it
/// has a terminal.
#[derive(Debug)]
pub struct Exec {
    /// Write end of its stdin.
    pub stdin: Option<OwnedFd>,
    /// Read end of its stdout (or of its terminal: a read error EIO there is its end of file).
    pub stdout: Option<OwnedFd>,
    /// Read end of its stderr.
    pub stderr: Option<OwnedFd>,
    /// The terminal of an exec session; an attached container's is resized by its shim.
    terminal: Option<OwnedFd>,
    connection: ShimConnection,
    ended: Option<i32>,
}

impl Exec {
    /// Becomes readable when the process has ended; then [`Exec::wait`] does not block.
    pub fn exit_fd(&self) -> BorrowedFd<'_> {
        self.connection.socket.as_fd()
    }

    /// Waits for the end and returns the exit code (128 + signal where a signal ended it).
    pub fn wait(&mut self) -> Result<i32, Error> {
        if let Some(code) = self.ended {
            return Ok(code);
        }
        match self.connection.receive()? {
            (Reply::Exited { code }, _) => {
                self.ended = Some(code);
                Ok(code)
            }
            (reply, _) => Err(unexpected(&reply)),
        }
    }

    /// Changes the terminal's size.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        match &self.terminal {
            Some(terminal) => {
                sys::set_size(terminal.as_fd(), columns, rows).map_err(Error::io("resizing the terminal"))
            }
            None => self.connection.send(&Request::Resize { columns, rows }, &[]),
        }
    }

    /// Kills the exec'd process (no effect on attach sessions).
    pub fn kill(&self) -> Result<(), Error> {
        self.connection.send(&Request::Kill {}, &[])
    }
}

fn unexpected(reply: &Reply) -> Error {
    let source = std::io::Error::other(format!("unexpected reply {reply:?}"));
    Error::Io {
        what: "talking to the shim".to_owned(),
        source,
    }
}

fn open(mut connection: ShimConnection, id: &str, request: &Request) -> Result<Exec, Error> {
    connection.send(request, &[])?;
    let (reply, fds) = connection.receive()?;
    let Reply::Session { streams, terminal } = succeeded(id, reply)? else {
        return Err(unexpected(&Reply::Done {}));
    };
    connection.in_session()?;
    let mut fds = fds.into_iter();
    let mut exec = Exec {
        stdin: None,
        stdout: None,
        stderr: None,
        terminal: None,
        connection,
        ended: None,
    };
    if terminal {
        let master = fds.next().ok_or_else(|| unexpected(&Reply::Done {}))?;
        let copy = || sys::duplicate(master.as_fd()).map_err(Error::io("duplicating a descriptor"));
        exec.stdin = Some(copy()?);
        exec.stdout = Some(copy()?);
        exec.terminal = Some(master);
    } else {
        for (bit, slot) in [(1, &mut exec.stdin), (2, &mut exec.stdout), (4, &mut exec.stderr)] {
            if streams & bit != 0 {
                *slot = fds.next();
            }
        }
    }
    Ok(exec)
}

/// Starts a process in a container.
pub(super) fn exec(inner: &Inner, id: &str, spec: &ExecSpec) -> Result<Exec, Error> {
    let pod = containers::pod_of(inner, id)?;
    if spec.args.first().is_none_or(String::is_empty) {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    let plan = containers::stored_plan(inner, id)?;
    let mut process = plan.process;
    process.args.clone_from(&spec.args);
    for entry in &spec.env {
        let name = |entry: &String| entry.split('=').next().map(str::to_owned);
        process.env.retain(|known| name(known) != name(entry));
        process.env.push(entry.clone());
    }
    if spec.tty && !process.env.iter().any(|entry| entry.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    process.terminal = spec.tty;
    process.size = spec.size;
    let streams = u8::from(spec.stdin) | u8::from(spec.stdout) << 1 | u8::from(spec.stderr) << 2;
    let request = Request::Exec {
        id: id.to_owned(),
        process,
        cgroup: plan.cgroup,
        streams,
    };
    let mut exec = open(ShimConnection::open(&pod)?, id, &request)?;
    if spec.tty && !spec.stdin {
        exec.stdin = None;
    }
    Ok(exec)
}

/// Connects to a container's own streams.
pub(super) fn attach(inner: &Inner, id: &str) -> Result<Exec, Error> {
    let pod = containers::pod_of(inner, id)?;
    open(
        ShimConnection::open(&pod)?,
        id,
        &Request::Attach { id: id.to_owned() },
    )
}
