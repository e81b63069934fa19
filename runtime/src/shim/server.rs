//! The shim's loop: waits for anything to happen and hands it to where it belongs.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use super::container::{Container, Output};
use super::protocol::{self, Request, SandboxPlan};
use super::sessions::{Connection, Exec, Role};
use crate::sys::{self, Child, Epoll, Errno, SysResult};

/// What an epoll entry belongs to, packed into its token: kind in the top byte, number below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The listening socket.
    Listener,
    /// SIGCHLD.
    Children,
    /// A connection.
    Connection(u64),
    /// A container's launch channel.
    ContainerChannel(u64),
    /// An exec's launch channel.
    ExecChannel(u64),
    /// A container's stdout or terminal.
    Stdout(u64),
    /// A container's stderr.
    Stderr(u64),
    /// A container's stdin, waited for while input is pending.
    Stdin(u64),
    /// Input of the attach session on this connection.
    AttachInput(u64),
    /// A container's `memory.events`.
    Memory(u64),
}

impl Token {
    pub(super) fn pack(self) -> u64 {
        let (kind, number) = match self {
            Self::Listener => (0, 0),
            Self::Children => (1, 0),
            Self::Connection(n) => (2, n),
            Self::ContainerChannel(n) => (3, n),
            Self::ExecChannel(n) => (4, n),
            Self::Stdout(n) => (5, n),
            Self::Stderr(n) => (6, n),
            Self::Stdin(n) => (7, n),
            Self::AttachInput(n) => (8, n),
            Self::Memory(n) => (9, n),
        };
        kind << 56 | number
    }

    fn unpack(token: u64) -> Option<Self> {
        let n = token & ((1 << 56) - 1);
        Some(match token >> 56 {
            0 => Self::Listener,
            1 => Self::Children,
            2 => Self::Connection(n),
            3 => Self::ContainerChannel(n),
            4 => Self::ExecChannel(n),
            5 => Self::Stdout(n),
            6 => Self::Stderr(n),
            7 => Self::Stdin(n),
            8 => Self::AttachInput(n),
            9 => Self::Memory(n),
            _ => return None,
        })
    }
}

/// The shim's state.
pub(super) struct Server {
    pub(super) running: String,
    pub(super) exits: String,
    pub(super) pod_cgroup: Option<String>,
    listener: UnixListener,
    pub(super) signals: OwnedFd,
    pub(super) epoll: Epoll,
    next: u64,
    pub(super) containers: BTreeMap<u64, Container>,
    pub(super) execs: BTreeMap<u64, Exec>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) init: Option<Child>,
    pub(super) done: bool,
    /// The mount namespace that containers are cloned from.
    pub(super) stage: OwnedFd,
    // Held for its lock.
    _lock: File,
}

impl Server {
    pub(super) fn new(
        plan: &SandboxPlan,
        listener: UnixListener,
        (lock, stage): (File, OwnedFd),
        init: Option<Child>,
    ) -> SysResult<Self> {
        let epoll = Epoll::new()?;
        let signals = sys::child_signal_fd()?;
        epoll.add(listener.as_fd(), libc::EPOLLIN, Token::Listener.pack())?;
        epoll.add(signals.as_fd(), libc::EPOLLIN, Token::Children.pack())?;
        Ok(Self {
            running: plan.running.clone(),
            exits: plan.exits.clone(),
            pod_cgroup: plan.pod_cgroup.clone(),
            listener,
            signals,
            epoll,
            next: 1,
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            connections: BTreeMap::new(),
            init,
            done: false,
            stage,
            _lock: lock,
        })
    }

    /// A fresh number; never reused, so a stale epoll event cannot hit a newcomer.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Serves until told to end; the program's exit status.
    pub(super) fn run(mut self) -> i32 {
        let mut ready = Vec::new();
        while !self.done {
            if self.epoll.wait(&mut ready, -1).is_err() {
                return 1;
            }
            for event in &ready {
                if let Some(token) = Token::unpack(event.token) {
                    self.dispatch(token);
                }
            }
        }
        0
    }

    fn dispatch(&mut self, token: Token) {
        match token {
            Token::Listener => self.accept(),
            Token::Children => {
                sys::drain_signal_fd(self.signals.as_fd());
                self.reap();
            }
            Token::Connection(n) => self.connection_ready(n),
            Token::ContainerChannel(n) => self.container_channel_ready(n),
            Token::ExecChannel(n) => self.exec_channel_ready(n),
            Token::Stdout(n) => {
                self.pump(n, Output::Stdout, 4);
            }
            Token::Stderr(n) => {
                self.pump(n, Output::Stderr, 4);
            }
            Token::Stdin(n) => self.input_writable(n),
            Token::AttachInput(n) => self.attach_input_ready(n),
            Token::Memory(n) => self.memory_event(n),
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let number = self.number();
            let socket = OwnedFd::from(stream);
            if self
                .epoll
                .add(socket.as_fd(), libc::EPOLLIN, Token::Connection(number).pack())
                .is_ok()
            {
                self.connections.insert(number, Connection::new(socket));
            }
        }
    }

    fn connection_ready(&mut self, number: u64) {
        let mut chunk = [0; 16 << 10];
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        match sys::receive_with_fds(connection.socket.as_fd(), &mut chunk, &mut connection.fds) {
            Ok(0) => self.disconnect(number),
            Ok(n) => {
                connection.input.extend_from_slice(&chunk[..n]);
                self.take_requests(number);
            }
            Err(Errno(libc::EAGAIN)) => {}
            Err(_) => self.disconnect(number),
        }
    }

    fn take_requests(&mut self, number: u64) {
        while let Some(connection) = self.connections.get_mut(&number) {
            match protocol::unframe::<Request>(&mut connection.input) {
                Ok(Some(request)) => {
                    if connection.input.is_empty() {
                        connection.input = Vec::new(); // a plan's memory is not kept
                    }
                    let fds = std::mem::take(&mut connection.fds);
                    self.handle(number, request, fds);
                }
                Ok(None) => return,
                Err(_) => self.disconnect(number),
            }
        }
    }

    /// Forgets a connection and ends its session; an exec'd process lives on without it.
    pub(super) fn disconnect(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        self.epoll.remove(connection.socket.as_fd());
        match connection.role {
            Role::Plain => {}
            Role::Exec(exec) => {
                if let Some(exec) = self.execs.get_mut(&exec) {
                    exec.connection = None;
                }
            }
            Role::Attach(attach) => self.end_attach_input(&attach),
        }
    }
}
