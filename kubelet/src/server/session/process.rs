//! The process of a session.

use std::io;
use std::os::fd::OwnedFd;

use keelson_runtime::node::{Error, Exec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::pipe::Pipe;
use crate::server::ready::watch;

/// What a session does with a process besides its streams; [`Exec`] but for tests.
pub(in crate::server) trait Control: Send + Sync {
    /// Exit code; called once the exit descriptor is readable.
    fn wait(&mut self) -> Result<i32, Error>;
    fn resize(&self, columns: u16, rows: u16) -> Result<(), Error>;
    fn kill(&self) -> Result<(), Error>;
}

impl Control for Exec {
    fn wait(&mut self) -> Result<i32, Error> {
        self.wait()
    }

    fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        self.resize(columns, rows)
    }

    fn kill(&self) -> Result<(), Error> {
        self.kill()
    }
}

/// A running process and our ends of its streams. Killed when dropped before its end.
pub(in crate::server) struct Process {
    pub(super) stdin: Option<Pipe>,
    pub(super) stdout: Option<Pipe>,
    pub(super) stderr: Option<Pipe>,
    exit: AsyncFd<OwnedFd>,
    pub(super) control: Leash,
}

/// Kills on drop, unless the process has ended.
pub(super) struct Leash {
    control: Box<dyn Control>,
    ended: bool,
}

impl Process {
    /// Takes over a process that the runtime started or attached to. Needs a tokio runtime.
    pub(in crate::server) fn new(mut exec: Exec) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (exec.stdin.take(), exec.stdout.take(), exec.stderr.take());
        let exit = exec.exit_fd().try_clone_to_owned()?;
        Self::from_parts(stdin, stdout, stderr, exit, Box::new(exec))
    }

    pub(super) fn from_parts(
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
        exit: OwnedFd,
        control: Box<dyn Control>,
    ) -> io::Result<Self> {
        // From here on a failure kills the process.
        let control = Leash {
            control,
            ended: false,
        };
        Ok(Self {
            stdin: stdin.map(Pipe::writer).transpose()?,
            stdout: stdout.map(Pipe::reader).transpose()?,
            stderr: stderr.map(Pipe::reader).transpose()?,
            exit: watch(exit, Interest::READABLE)?,
            control,
        })
    }

    /// Resolves when the process has ended. May be called again.
    pub(super) async fn ended(exit: &AsyncFd<OwnedFd>) -> io::Result<()> {
        // Readiness is kept: a descriptor that says the end once says it always.
        exit.readable().await.map(|mut guard| guard.retain_ready())
    }

    pub(super) fn parts(self) -> (Option<Pipe>, Option<Pipe>, Option<Pipe>, AsyncFd<OwnedFd>, Leash) {
        (self.stdin, self.stdout, self.stderr, self.exit, self.control)
    }
}

impl Leash {
    /// The exit code, once the process has ended.
    pub(super) fn exit_code(&mut self) -> Result<i32, Error> {
        self.ended = true;
        self.control.wait()
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        if let Err(error) = self.control.resize(columns, rows) {
            tracing::debug!(%error, "cannot resize a terminal");
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.control.kill()
        {
            tracing::warn!(%error, "cannot kill the process of a client that is gone");
        }
    }
}
