//! The switch's thread: one `poll` over all ports.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::frames::Incoming;
use super::link::Link;
use super::table::{Table, Target};

/// Frames that wait for a machine that does not read; more are lost, as in any switch.
const QUEUE: usize = 2048;

/// A machine's end.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    incoming: Incoming,
    outgoing: VecDeque<Vec<u8>>,
    /// How much of the first waiting frame is sent.
    sent: usize,
}

/// A frame on its way: when it arrives, its number (frames of one delay stay in order), where, and its bytes.
type Travelling = Reverse<(Instant, u64, usize, Vec<u8>)>;

#[derive(Debug)]
struct Running {
    connections: Vec<Option<Connection>>,
    links: Vec<Arc<Mutex<Link>>>,
    table: Table,
    travelling: BinaryHeap<Travelling>,
    count: u64,
}

/// Runs until the other end of `stop` is closed.
pub(super) fn run(
    listeners: &[UnixListener],
    links: Vec<Arc<Mutex<Link>>>,
    stop: &OwnedFd,
) -> io::Result<()> {
    for listener in listeners {
        listener.set_nonblocking(true)?;
    }
    let mut running = Running {
        connections: listeners.iter().map(|_| None).collect(),
        links,
        table: Table::default(),
        travelling: BinaryHeap::new(),
        count: 0,
    };
    loop {
        let (ready, incoming, outgoing) = running.wait(listeners, stop)?;
        if ready {
            return Ok(());
        }
        for (port, listener) in listeners.iter().enumerate() {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                running.connections[port] = Some(Connection {
                    stream,
                    incoming: Incoming::default(),
                    outgoing: VecDeque::new(),
                    sent: 0,
                });
            }
        }
        for port in incoming {
            running.receive(port);
        }
        for port in outgoing {
            running.send(port);
        }
        running.deliver(Instant::now());
    }
}

impl Running {
    /// Waits for something to do: whether to stop, and the ports that can be read and written.
    fn wait(&self, listeners: &[UnixListener], stop: &OwnedFd) -> io::Result<(bool, Vec<usize>, Vec<usize>)> {
        let timeout = match self.travelling.peek() {
            None => PollTimeout::NONE,
            // Rounded up: a frame must not be waited for in a busy loop.
            Some(Reverse((due, ..))) => {
                let left = due.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            listeners
                .iter()
                .map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)),
        );
        let mut ports = Vec::new();
        for (port, connection) in self.connections.iter().enumerate() {
            if let Some(connection) = connection {
                let mut flags = PollFlags::POLLIN;
                flags.set(PollFlags::POLLOUT, !connection.outgoing.is_empty());
                fds.push(PollFd::new(connection.stream.as_fd(), flags));
                ports.push(port);
            }
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |flag: PollFlags| -> Vec<usize> {
            let flag = flag | PollFlags::POLLHUP | PollFlags::POLLERR;
            fds[1 + listeners.len()..]
                .iter()
                .zip(&ports)
                .filter(|(fd, _)| fd.revents().is_some_and(|events| events.intersects(flag)))
                .map(|(_, port)| *port)
                .collect()
        };
        let stopped = fds[0].any().unwrap_or(false);
        Ok((stopped, ready(PollFlags::POLLIN), ready(PollFlags::POLLOUT)))
    }

    fn receive(&mut self, port: usize) {
        let mut buffer = vec![0; 64 << 10];
        let Some(connection) = &mut self.connections[port] else {
            return;
        };
        match connection.stream.read(&mut buffer) {
            Ok(count @ 1..) => connection.incoming.push(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Ok(_) | Err(_) => {
                self.connections[port] = None;
                return;
            }
        }
        loop {
            let Some(connection) = &mut self.connections[port] else {
                return;
            };
            match connection.incoming.next() {
                Ok(Some(frame)) => self.forward(port, &frame),
                Ok(None) => return,
                Err(super::frames::Garbage) => self.connections[port] = None,
            }
        }
    }

    fn pass(&self, port: usize) -> Option<Duration> {
        let mut link = self.links[port].lock().unwrap_or_else(PoisonError::into_inner);
        link.pass()
    }

    fn forward(&mut self, from: usize, frame: &[u8]) {
        let Some(first) = self.pass(from) else {
            return;
        };
        let targets = match self.table.route(from, &frame[4..]) {
            Target::Nowhere => return,
            Target::Port(port) => port..port + 1,
            Target::AllOthers => 0..self.connections.len(),
        };
        for to in targets.filter(|to| *to != from) {
            let Some(second) = self.pass(to) else {
                continue;
            };
            if first + second == Duration::ZERO {
                self.queue(to, frame.to_owned());
            } else {
                self.count += 1;
                let due = Instant::now() + first + second;
                self.travelling
                    .push(Reverse((due, self.count, to, frame.to_owned())));
            }
        }
    }

    /// Ends the travel of frames that are due.
    fn deliver(&mut self, now: Instant) {
        while self
            .travelling
            .peek()
            .is_some_and(|Reverse((due, ..))| *due <= now)
        {
            if let Some(Reverse((_, _, to, frame))) = self.travelling.pop() {
                self.queue(to, frame);
            }
        }
    }

    fn queue(&mut self, to: usize, frame: Vec<u8>) {
        if let Some(connection) = &mut self.connections[to]
            && connection.outgoing.len() < QUEUE
        {
            connection.outgoing.push_back(frame);
            self.send(to);
        }
    }

    fn send(&mut self, port: usize) {
        let Some(connection) = &mut self.connections[port] else {
            return;
        };
        while let Some(frame) = connection.outgoing.front() {
            match connection.stream.write(&frame[connection.sent..]) {
                Ok(count) => {
                    connection.sent += count;
                    if connection.sent == frame.len() {
                        connection.outgoing.pop_front();
                        connection.sent = 0;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.connections[port] = None;
                    return;
                }
            }
        }
    }
}
