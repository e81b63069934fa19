//! Connections of the runtime, and the exec and attach sessions that some of them become.

use std::os::fd::{AsFd, OwnedFd};

use super::protocol::{self, Reply};
use crate::launch::{Channel, Process};
use crate::sys::{self, Child};

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Role {
    /// Its request has not come yet, or has been answered.
    Plain,
    /// An exec session: number of its [`Exec`].
    Exec(u64),
    /// An attach session.
    Attach(Attach),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub socket: OwnedFd,
    pub input: Vec<u8>,
    pub fds: Vec<OwnedFd>,
    pub role: Role,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            input: Vec::new(),
            fds: Vec::new(),
            role: Role::Plain,
        }
    }

    /// Sends a reply. The socket does not block: a peer that let its buffer fill up with our few small replies has
    /// stopped listening, and its connection is as good as closed.
    pub(super) fn reply(&self, reply: &Reply, fds: &[OwnedFd]) -> bool {
        let bytes = protocol::frame(reply);
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        sys::send_with_fds(self.socket.as_fd(), &bytes, &fds).is_ok_and(|n| n == bytes.len())
    }
}

/// Our ends of an attach session's streams.
#[derive(Debug)]
pub(super) struct Attach {
    /// Number of the container.
    pub container: u64,
    /// Input from the client.
    pub input: Option<OwnedFd>,
    /// Output to the client; not blocking: what it is too slow for is dropped.
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// A process that was started in a container.
#[derive(Debug)]
pub(super) struct Exec {
    pub child: Child,
    pub channel: Option<Channel>,
    /// For the words of an error; until it has started.
    pub process: Option<Box<Process>>,
    /// Its session's connection, while the client holds it.
    pub connection: Option<u64>,
    /// The client's ends, until it gets them.
    pub client: Vec<OwnedFd>,
    pub streams: u8,
    pub terminal: Option<OwnedFd>,
}
