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

/// A terminal between the process and our own standard streams.
#[derive(Debug)]
pub(super) struct Relay {
    master: OwnedFd,
    before: Option<TerminalSettings>,
    input: Buffer,
    input_open: bool,
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
        })
    }

    /// Gives the process's terminal the size of ours.
    fn resize(&self) {
        let size = sys::size_of(stdin().as_fd()).or_else(|| sys::size_of(stdout().as_fd()));
        if let Some((columns, rows)) = size {
            let _ = sys::set_size(self.master.as_fd(), columns, rows); // cosmetic
        }
    }

    /// Passes on what the process wrote; false when nobody is left to write.
    fn output(&self) -> bool {
        let mut buffer = Buffer::default();
        if !buffer.fill(&self.master) {
            return false;
        }
        while !buffer.bytes.is_empty() {
            if !buffer.drain(&stdout()) {
                return false;
            }
        }
        true
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

/// Waits for the end of a process: its exit code, or 128 and the signal that ended it. `signals` carries ours.
pub(super) fn wait(signals: &OwnedFd, child: &sys::Child, mut relay: Option<Relay>) -> SysResult<i32> {
    let epoll = sys::Epoll::new()?;
    epoll.add(signals.as_fd(), libc::EPOLLIN, SIGNAL)?;
    epoll.add(child.pidfd.as_fd(), libc::EPOLLIN, END)?;
    let mut ready = Vec::new();
    let mut output_open = relay.is_some();
    let mut polled = true;
    if let Some(relay) = &relay {
        epoll.add(relay.master.as_fd(), libc::EPOLLIN, MASTER)?;
        // A regular file cannot be watched, and is always ready.
        polled = epoll.add(stdin().as_fd(), libc::EPOLLIN, STDIN).is_ok();
    }
    loop {
        let at_once = !polled
            && relay
                .as_ref()
                .is_some_and(|r| r.input_open && r.input.bytes.is_empty());
        epoll.wait(&mut ready, if at_once { 0 } else { -1 })?;
        while let Some(signal) = sys::read_signal(signals.as_fd()) {
            match (signal, &relay) {
                (libc::SIGCHLD, _) => {}
                (libc::SIGWINCH, Some(relay)) => relay.resize(),
                _ => drop(sys::pidfd_signal(child.pidfd.as_fd(), signal)), // it may have ended
            }
        }
        if let Some(relay) = &mut relay {
            let on = |token| {
                ready
                    .iter()
                    .find(|event| event.token == token)
                    .map_or(0, |e| e.events)
            };
            if output_open && on(MASTER) & (libc::EPOLLIN | libc::EPOLLHUP) as u32 != 0 && !relay.output() {
                output_open = false;
                epoll.remove(relay.master.as_fd());
            }
            input(relay, &epoll, polled, at_once || on(STDIN) != 0, output_open);
        }
        if ready.iter().any(|event| event.token == END) {
            let code = sys::wait_pidfd(child.pidfd.as_fd()).map(sys::Exit::shell_code);
            // What it wrote before its end, not what others of its terminal may go on writing.
            while output_open && relay.as_ref().is_some_and(waiting_output) {
                output_open = relay.as_ref().is_some_and(Relay::output);
            }
            return code;
        }
    }
}

fn waiting_output(relay: &Relay) -> bool {
    sys::poll_readable(relay.master.as_fd(), 0).unwrap_or(false)
}

/// Moves input on. It is read only when what was read before has gone.
fn input(relay: &mut Relay, epoll: &sys::Epoll, polled: bool, readable: bool, master_open: bool) {
    if readable && relay.input_open && relay.input.bytes.is_empty() && !relay.input.fill(&stdin()) {
        relay.input_open = false;
        if polled {
            epoll.remove(stdin().as_fd());
        }
    }
    if relay.input.bytes.is_empty() || !master_open {
        return;
    }
    if !relay.input.drain(&relay.master) {
        relay.input.bytes.clear();
    }
    // While something is left: wait for the terminal to take it, and do not look at more.
    let left = !relay.input.bytes.is_empty();
    let events = libc::EPOLLIN | if left { libc::EPOLLOUT } else { 0 };
    let _ = epoll.modify(relay.master.as_fd(), events, MASTER);
    if polled && relay.input_open {
        let _ = epoll.modify(stdin().as_fd(), if left { 0 } else { libc::EPOLLIN }, STDIN);
    }
}
