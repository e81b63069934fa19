//! Waiting for a process in the foreground: signals that come to us are for it, and its terminal, if we made it one, is
//! relayed to our own streams.

use std::io::{stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::{self, Errno, SysResult, TerminalSettings};

/// Bytes on the way in one direction.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    const SIZE: usize = 8192;

    /// Takes what is there to read; false at the end of the stream.
    fn fill(&mut self, from: &impl AsFd) -> bool {
        self.bytes.resize(Self::SIZE, 0);
        let read = sys::read_fd(from.as_fd(), &mut self.bytes);
        let n = *read.as_ref().unwrap_or(&0);
        self.bytes.truncate(n);
        n > 0 || read == Err(Errno(libc::EAGAIN))
    }

    /// Passes on what the other side takes; false if it takes nothing any more.
    fn drain(&mut self, to: &impl AsFd) -> bool {
        match sys::write_fd(to.as_fd(), &self.bytes) {
            Ok(n) => drop(self.bytes.drain(..n)),
            Err(Errno(libc::EAGAIN)) => {}
            Err(_) => return false,
        }
        true
    }
}

/// What epoll watches a descriptor for; it is taken off while that is nothing, because a hang-up is told of regardless.
#[derive(Debug)]
struct Watch {
    token: u64,
    events: i32,
    /// A regular file cannot be watched, and is always ready.
    refused: bool,
}

impl Watch {
    fn new(token: u64) -> Self {
        Self {
            token,
            events: 0,
            refused: false,
        }
    }

    fn set(&mut self, epoll: &sys::Epoll, fd: &impl AsFd, events: i32) {
        if events == self.events || self.refused {
            return;
        }
        match (self.events, events) {
            (_, 0) => epoll.remove(fd.as_fd()),
            (0, _) => self.refused = epoll.add(fd.as_fd(), events, self.token).is_err(),
            _ => drop(epoll.modify(fd.as_fd(), events, self.token)),
        }
        self.events = events;
    }
}

/// A terminal between the process and our own standard streams.
#[derive(Debug)]
pub(super) struct Relay {
    master: OwnedFd,
    before: Option<TerminalSettings>,
    input: Buffer,
    input_open: bool,
    output: Buffer,
    output_open: bool,
    watches: [Watch; 3],
}

impl Relay {
    /// Our own terminal, if we have one, becomes raw until this is dropped.
    pub(super) fn new(master: OwnedFd) -> SysResult<Self> {
        sys::set_nonblocking(master.as_fd(), true)?;
        Ok(Self {
            before: sys::make_raw(stdin().as_fd()),
            master,
            input: Buffer::default(),
            input_open: true,
            output: Buffer::default(),
            output_open: true,
            watches: [MASTER, STDIN, STDOUT].map(Watch::new),
        })
    }

    /// Gives the process's terminal the size of ours.
    fn resize(&self) {
        let size = sys::size_of(stdin().as_fd()).or_else(|| sys::size_of(stdout().as_fd()));
        if let Some((columns, rows)) = size {
            let _ = sys::set_size(self.master.as_fd(), columns, rows); // cosmetic
        }
    }

    /// Waits for what can go on next, and no more: in each direction nothing is read while something is left to write.
    fn watch(&mut self, epoll: &sys::Epoll) {
        let [master, stdin_watch, stdout_watch] = &mut self.watches;
        let when = |condition: bool, events: i32| if condition { events } else { 0 };
        let (read, written) = (self.output.bytes.is_empty(), self.input.bytes.is_empty());
        let of_master = when(read, libc::EPOLLIN) | when(!written, libc::EPOLLOUT);
        master.set(epoll, &self.master, when(self.output_open, of_master));
        stdin_watch.set(epoll, &stdin(), when(self.input_open && written, libc::EPOLLIN));
        stdout_watch.set(epoll, &stdout(), when(!read, libc::EPOLLOUT));
    }

    /// Whether input comes from a file, of which there is always more.
    fn has_input(&self) -> bool {
        self.watches[1].refused && self.input_open && self.input.bytes.is_empty()
    }

    /// Passes on what the process wrote.
    fn output(&mut self) {
        if self.output_open && self.output.bytes.is_empty() {
            self.output_open = self.output.fill(&self.master);
        }
        if !self.output.bytes.is_empty() && !self.output.drain(&stdout()) {
            self.output.bytes.clear();
            self.output_open = false;
        }
    }

    /// Passes on what comes from us.
    fn input(&mut self, readable: bool) {
        if readable && self.input_open && self.input.bytes.is_empty() {
            self.input_open = self.input.fill(&stdin());
        }
        if !self.input.bytes.is_empty() && self.output_open && !self.input.drain(&self.master) {
            self.input.bytes.clear();
        }
    }

    /// Whether all that the process wrote has been passed on.
    fn is_done(&self) -> bool {
        self.output.bytes.is_empty()
            && (!self.output_open || !sys::poll_readable(self.master.as_fd(), 0).unwrap_or(false))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            sys::restore_settings(stdin().as_fd(), before);
        }
    }
}

const SIGNAL: u64 = 0;
const END: u64 = 1;
const MASTER: u64 = 2;
const STDIN: u64 = 3;
const STDOUT: u64 = 4;

/// Waits for the end of a process: its exit code, or 128 and the signal that ended it. `signals` carries ours.
pub(super) fn wait(signals: &OwnedFd, child: &sys::Child, mut relay: Option<Relay>) -> SysResult<i32> {
    let epoll = sys::Epoll::new()?;
    epoll.add(signals.as_fd(), libc::EPOLLIN, SIGNAL)?;
    epoll.add(child.pidfd.as_fd(), libc::EPOLLIN, END)?;
    let mut ready = Vec::new();
    let mut code = None;
    loop {
        let at_once = relay.as_mut().is_some_and(|relay| {
            relay.watch(&epoll);
            relay.has_input()
        });
        epoll.wait(&mut ready, if at_once { 0 } else { -1 })?;
        while let Some(signal) = sys::read_signal(signals.as_fd()) {
            match (signal, &relay) {
                (libc::SIGCHLD, _) => {}
                (libc::SIGWINCH, Some(relay)) => relay.resize(),
                _ => drop(sys::pidfd_signal(child.pidfd.as_fd(), signal)), // it may have ended
            }
        }
        let on = |token| ready.iter().any(|event| event.token == token);
        if let Some(relay) = &mut relay {
            if on(MASTER) || on(STDOUT) {
                relay.output();
            }
            relay.input(at_once || on(STDIN));
        }
        if code.is_none() && on(END) {
            code = Some(sys::wait_pidfd(child.pidfd.as_fd()).map(sys::Exit::shell_code)?);
            epoll.remove(child.pidfd.as_fd());
        }
        // What it wrote before its end, not what others of its terminal may go on writing.
        if let Some(code) = code
            && relay.as_ref().is_none_or(Relay::is_done)
        {
            return Ok(code);
        }
    }
}
