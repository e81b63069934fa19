//! Moving bytes: container output to its log and to attached clients, attached clients' input to the container.

use std::os::fd::{AsFd, OwnedFd};

use super::container::Output;
use super::protocol::Reply;
use super::server::{Server, Token};
use super::sessions::{Attach, Role};
use crate::sys::{self, Errno};

/// Read at once; also the memory that one busy stream costs, on the stack.
const CHUNK: usize = 16 << 10;
/// Buffer of an attach session's output: what a slow client may lag behind before output to it is dropped.
const ATTACH_BUFFER: i32 = 1 << 20;

impl Server {
    /// Starts watching a fresh container's output pipes.
    pub(super) fn watch_streams(&mut self, number: u64) {
        let Some(container) = self.containers.get(&number) else {
            return;
        };
        let ends = [
            (&container.stdout, Token::Stdout(number)),
            (&container.stderr, Token::Stderr(number)),
        ];
        for (fd, token) in ends {
            if let Some(fd) = fd {
                let _ = sys::set_nonblocking(fd.as_fd(), true);
                let _ = self.epoll.add(fd.as_fd(), libc::EPOLLIN, token.pack());
            }
        }
        if let Some(stdin) = &container.stdin {
            let _ = sys::set_nonblocking(stdin.as_fd(), true);
        }
    }

    /// Takes the master of a container's terminal.
    pub(super) fn take_terminal(&mut self, number: u64, master: Option<OwnedFd>) {
        if let Some(container) = self.containers.get_mut(&number) {
            container.stdin = master.as_ref().and_then(|fd| sys::duplicate(fd.as_fd()).ok());
            container.stdout = master;
        }
        self.watch_streams(number);
    }

    /// Reads up to `rounds` chunks of a stream's output. Returns whether there may be more.
    pub(super) fn pump(&mut self, number: u64, output: Output, rounds: usize) -> bool {
        let mut chunk = [0; CHUNK];
        for _ in 0..rounds {
            let Some(container) = self.containers.get_mut(&number) else {
                return false;
            };
            let stderr = output == Output::Stderr;
            let stream = if stderr {
                &mut container.stderr
            } else {
                &mut container.stdout
            };
            let Some(fd) = stream else { return false };
            match sys::read_fd(fd.as_fd(), &mut chunk) {
                Err(Errno(libc::EAGAIN)) => return false,
                // End of file; a terminal gives EIO when its last process has closed it.
                Ok(0) | Err(_) => {
                    self.epoll.remove(fd.as_fd());
                    *stream = None;
                    if let Some(log) = &mut container.log {
                        log.finish(stderr);
                    }
                    return false;
                }
                Ok(n) => {
                    if let Some(log) = &mut container.log {
                        log.write(stderr, &chunk[..n]);
                    }
                    if let Some(held) = &mut container.held {
                        held.keep(stderr, &chunk[..n]);
                    }
                    self.show(number, stderr, &chunk[..n]);
                }
            }
        }
        true
    }

    /// Gives output to every attached client that keeps up.
    fn show(&mut self, number: u64, stderr: bool, data: &[u8]) {
        for connection in self.connections.values_mut() {
            let Role::Attach(attach) = &mut connection.role else {
                continue;
            };
            if attach.container != number {
                continue;
            }
            let pipe = if stderr {
                &mut attach.stderr
            } else {
                &mut attach.stdout
            };
            let Some(fd) = pipe else { continue };
            match sys::write_fd(fd.as_fd(), data) {
                Ok(_) | Err(Errno(libc::EAGAIN)) => {}
                Err(_) => *pipe = None, // the client closed it
            }
        }
    }

    pub(super) fn attach(&mut self, from: u64, id: &str) -> Result<(), Reply> {
        let number = self.find(id).ok_or(Reply::NotFound {})?;
        let container = self.containers.get_mut(&number).ok_or(Reply::NotFound {})?;
        if container.ended {
            return Err(Reply::Failed {
                message: format!("attach to container {id}: not running"),
                exit_code: 0,
            });
        }
        let failed = |errno: Errno| Reply::Failed {
            message: format!("making attach pipes: {errno}"),
            exit_code: 0,
        };
        let mut attach = Attach {
            container: number,
            input: None,
            stdout: None,
            stderr: None,
        };
        let (mut client, mut streams) = (Vec::new(), 0);
        if container.stdin.is_some() && !container.close_input {
            let (read, write) = sys::pipe().map_err(failed)?;
            sys::set_nonblocking(read.as_fd(), true).map_err(failed)?;
            attach.input = Some(read);
            client.push(write);
            streams |= 1;
        }
        let outputs = [
            (true, 2, &mut attach.stdout),
            (!container.terminal, 4, &mut attach.stderr),
        ];
        for (wanted, bit, slot) in outputs {
            if wanted {
                let (read, write) = sys::pipe().map_err(failed)?;
                sys::set_nonblocking(write.as_fd(), true).map_err(failed)?;
                sys::pipe_size(write.as_fd(), ATTACH_BUFFER);
                if let Some(held) = &container.held {
                    sys::write_fd(write.as_fd(), held.of(bit == 4)).map_err(failed)?;
                }
                *slot = Some(write);
                client.push(read);
                streams |= bit;
            }
        }
        container.held = None;
        if let Some(input) = attach
            .input
            .as_ref()
            .filter(|_| container.pending_input.is_empty())
        {
            self.epoll
                .add(input.as_fd(), libc::EPOLLIN, Token::AttachInput(from).pack())
                .map_err(failed)?;
        }
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.role = Role::Attach(attach);
        }
        self.answer(
            from,
            &Reply::Session {
                streams,
                terminal: false,
            },
            &client,
        );
        Ok(())
    }

    /// Changes the size of the terminal of an attached container.
    pub(super) fn resize(&mut self, from: u64, columns: u16, rows: u16) {
        let Some(Role::Attach(attach)) = self.connections.get(&from).map(|c| &c.role) else {
            return;
        };
        let Some(container) = self.containers.get(&attach.container).filter(|c| c.terminal) else {
            return;
        };
        if let Some(master) = container.stdin.as_ref().or(container.stdout.as_ref()) {
            let _ = sys::set_size(master.as_fd(), columns, rows);
        }
    }

    /// An attached client has typed something.
    pub(super) fn attach_input_ready(&mut self, connection: u64) {
        let Some(Role::Attach(attach)) = self.connections.get_mut(&connection).map(|c| &mut c.role) else {
            return;
        };
        let Some(input) = &attach.input else { return };
        let number = attach.container;
        let mut chunk = [0; CHUNK];
        match sys::read_fd(input.as_fd(), &mut chunk) {
            Err(Errno(libc::EAGAIN)) => {}
            Ok(0) | Err(_) => {
                self.epoll.remove(input.as_fd());
                attach.input = None;
                self.input_ended(number);
            }
            Ok(n) => {
                if let Some(container) = self.containers.get_mut(&number) {
                    container.pending_input.extend_from_slice(&chunk[..n]);
                }
                self.write_input(number);
                self.watch_inputs(number);
            }
        }
    }

    /// The container takes input again.
    pub(super) fn input_writable(&mut self, number: u64) {
        self.write_input(number);
        self.watch_inputs(number);
    }

    fn write_input(&mut self, number: u64) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let Some(stdin) = &container.stdin else {
            container.pending_input.clear(); // nobody is left to read it
            return;
        };
        while !container.pending_input.is_empty() {
            match sys::write_fd(stdin.as_fd(), &container.pending_input) {
                Ok(n) => drop(container.pending_input.drain(..n)),
                Err(Errno(libc::EAGAIN)) => return,
                Err(_) => {
                    container.pending_input.clear();
                    container.close_input = true;
                }
            }
        }
        container.pending_input = Vec::new();
        if container.close_input && !container.terminal {
            self.epoll.remove(stdin.as_fd());
            container.stdin = None;
        }
    }

    /// While input is pending, waits for the container to take it, and reads no more from clients.
    fn watch_inputs(&mut self, number: u64) {
        let Some(container) = self.containers.get(&number) else {
            return;
        };
        let pending = !container.pending_input.is_empty();
        if let Some(stdin) = &container.stdin {
            self.epoll.remove(stdin.as_fd());
            if pending {
                let _ = self
                    .epoll
                    .add(stdin.as_fd(), libc::EPOLLOUT, Token::Stdin(number).pack());
            }
        }
        for (connection, entry) in &self.connections {
            let Role::Attach(attach) = &entry.role else {
                continue;
            };
            if let Some(input) = attach.input.as_ref().filter(|_| attach.container == number) {
                self.epoll.remove(input.as_fd());
                if !pending {
                    let _ = self.epoll.add(
                        input.as_fd(),
                        libc::EPOLLIN,
                        Token::AttachInput(*connection).pack(),
                    );
                }
            }
        }
    }

    /// An attach session's input has ended: with `stdinOnce`, so does the container's.
    fn input_ended(&mut self, number: u64) {
        if let Some(container) = self.containers.get_mut(&number).filter(|c| c.stdin_once) {
            container.close_input = true;
            self.write_input(number);
        }
    }

    /// An attach session's connection has gone.
    pub(super) fn end_attach_input(&mut self, attach: &Attach) {
        if let Some(input) = &attach.input {
            self.epoll.remove(input.as_fd());
            self.input_ended(attach.container);
        }
    }
}
