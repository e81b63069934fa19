//! Requests of the runtime, and the progress of launches.

use std::os::fd::{AsFd, OwnedFd};

use super::container::{self, Container};
use super::held::Held;
use super::lines;
use super::log::Log;
use super::protocol::{LogPlan, Reply, Request};
use super::server::{Server, Token};
use super::sessions::{Exec, Role};
use crate::launch::{
    Gate, Launched, Plan, Process, RecordKind, SpawnError, StandardStreams, null_stream, spawn_container,
    spawn_session,
};
use crate::sys::{self, Errno, SysResult};

/// Streams of an exec request.
const STDIN: u8 = 1;
const STDOUT: u8 = 2;
const STDERR: u8 = 4;

fn failed(error: &SpawnError) -> Reply {
    let exit_code = if error.message.starts_with("exec") {
        error.exit_code
    } else {
        0
    };
    Reply::Failed {
        message: error.message.clone(),
        exit_code,
    }
}

fn failed_call(what: &str, errno: Errno) -> Reply {
    Reply::Failed {
        message: format!("{what}: {errno}"),
        exit_code: 0,
    }
}

/// Read and write ends for one stream: a pipe if it is wanted, else the null device for the process.
fn stream(wanted: bool, input: bool) -> SysResult<(Option<OwnedFd>, OwnedFd)> {
    if wanted {
        let (read, write) = sys::pipe()?;
        return Ok(if input {
            (Some(write), read)
        } else {
            (Some(read), write)
        });
    }
    Ok((None, null_stream()?))
}

impl Server {
    pub(super) fn handle(&mut self, from: u64, request: Request, fds: Vec<OwnedFd>) {
        let reply = match request {
            Request::Create {
                id,
                plan,
                stdin,
                stdin_once,
                log,
            } => {
                match self.create(from, id, plan, (stdin, stdin_once), log.as_ref(), fds) {
                    Ok(()) => return, // answered when the child is ready
                    Err(reply) => reply,
                }
            }
            Request::Start { id } => match self.start(from, &id) {
                Ok(()) => return, // answered when the child has exec'd
                Err(reply) => reply,
            },
            Request::Exec {
                id,
                process,
                cgroup,
                streams,
            } => match self.exec(from, &id, process, cgroup.as_deref(), streams) {
                Ok(()) => return,
                Err(reply) => reply,
            },
            Request::Attach { id } => match self.attach(from, &id) {
                Ok(()) => return,
                Err(reply) => reply,
            },
            Request::Resize { columns, rows } => return self.resize(from, columns, rows),
            Request::Kill {} => return self.kill_session(from),
            Request::Signal { id, signal } => match self.find(&id) {
                Some(n) => match sys::pidfd_signal(self.containers[&n].child.pidfd.as_fd(), signal) {
                    Ok(()) | Err(Errno(libc::ESRCH)) => Reply::Done {},
                    Err(errno) => failed_call("sending a signal", errno),
                },
                None => Reply::NotFound {},
            },
            Request::ReopenLog { id } => match self.find(&id).and_then(|n| self.containers.get_mut(&n)) {
                Some(container) => {
                    if let Some(log) = &mut container.log {
                        log.reopen();
                    }
                    Reply::Done {}
                }
                None => Reply::NotFound {},
            },
            Request::Forget { id } => {
                self.forget(&id);
                Reply::Done {}
            }
            Request::Shutdown {} => {
                self.shut_down();
                Reply::Done {}
            }
        };
        self.answer(from, &reply, &[]);
    }

    /// Sends a reply to a connection, if it is still there.
    pub(super) fn answer(&mut self, to: u64, reply: &Reply, fds: &[OwnedFd]) {
        if self
            .connections
            .get(&to)
            .is_some_and(|connection| !connection.reply(reply, fds))
        {
            self.disconnect(to);
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<u64> {
        self.containers.values().find(|c| c.id == id).map(|c| c.number)
    }

    fn create(
        &mut self,
        from: u64,
        id: String,
        plan: Plan,
        (stdin, stdin_once): (bool, bool),
        log: Option<&LogPlan>,
        mut fds: Vec<OwnedFd>,
    ) -> Result<(), Reply> {
        if self.find(&id).is_some() {
            return Err(failed_call(
                &format!("creating container {id}"),
                Errno(libc::EEXIST),
            ));
        }
        let rootfs = fds
            .pop()
            .ok_or_else(|| failed_call("receiving the root filesystem", Errno(libc::EBADF)))?;
        let pipes = |errno| failed_call("making the container's pipes", errno);
        let (mut ours, mut theirs) = ((None, None, None), None);
        if !plan.process.terminal {
            let (our_in, stdin) = stream(stdin, true).map_err(pipes)?;
            let (our_out, stdout) = stream(true, false).map_err(pipes)?;
            let (our_err, stderr) = stream(true, false).map_err(pipes)?;
            for end in [&stdin, &stdout, &stderr] {
                // The container's user may open /dev/stdout anew: it must own the pipe. Not so the shared null device.
                if sys::stat_fd(end.as_fd()).is_ok_and(|stat| stat.kind == sys::FileKind::Other) {
                    sys::chown_fd(end.as_fd(), plan.process.uid, u32::MAX).map_err(pipes)?;
                }
            }
            ours = (our_in, our_out, our_err);
            theirs = Some(StandardStreams {
                stdin,
                stdout,
                stderr,
            });
        }
        let Launched { child, channel } =
            spawn_container(&plan, rootfs, theirs, Gate::Channel, Some(self.stage.as_fd()))
                .map_err(|e| failed(&e))?;
        let number = self.number();
        let container = Container {
            number,
            id,
            child,
            channel: Some(channel),
            own_pid_namespace: plan.namespaces.fresh & libc::CLONE_NEWPID as u64 != 0,
            cgroup: plan.cgroup.clone(),
            log: log.map(Log::new),
            stdin: ours.0,
            stdout: ours.1,
            stderr: ours.2,
            terminal: plan.process.terminal,
            stdin_once,
            held: stdin_once.then(Held::default),
            plan: Some(Box::new(plan)),
            pending_input: Vec::new(),
            close_input: false,
            started_at: 0,
            start_failed: None,
            ended: false,
            waiter: Some(from),
            memory_events: None,
        };
        self.containers.insert(number, container);
        self.watch_channel(number);
        self.watch_streams(number);
        self.watch_memory(number);
        Ok(())
    }

    fn watch_channel(&mut self, number: u64) {
        if let Some(channel) = self.containers.get(&number).and_then(|c| c.channel.as_ref()) {
            let _ = sys::set_nonblocking(channel.as_fd(), true);
            let _ = self.epoll.add(
                channel.as_fd(),
                libc::EPOLLIN,
                Token::ContainerChannel(number).pack(),
            );
        }
    }

    /// Something came from a container's first process before its exec. Takes all there is.
    pub(super) fn container_channel_ready(&mut self, number: u64) {
        loop {
            let Some(container) = self.containers.get_mut(&number) else {
                return;
            };
            let Some(channel) = &container.channel else { return };
            let message = match channel.receive() {
                Err(Errno(libc::EAGAIN)) => return,
                Err(_) => None,
                Ok(message) => message,
            };
            let (reply, over) = match message {
                Some((RecordKind::Terminal, master)) => {
                    self.take_terminal(number, master);
                    continue;
                }
                Some((RecordKind::Ready, _)) => {
                    let pid = container.child.pid;
                    container::record_running(&self.running, container);
                    (Reply::Created { pid }, false)
                }
                Some((RecordKind::Failed(failure), _)) => {
                    let reply = container.plan.as_ref().map_or(Reply::NotFound {}, |plan| {
                        let error = SpawnError::from_failure(failure, Some(plan), &plan.process);
                        container.start_failed = Some(error.exit_code);
                        failed(&error)
                    });
                    (reply, true)
                }
                Some(_) => continue, // of hooks and listeners, which containers of a pod do not have
                None if container.started_at != 0 => {
                    // The channel closed with the exec.
                    container.plan = None;
                    container::record_running(&self.running, container);
                    (Reply::Done {}, true)
                }
                None => (
                    failed_call("the container's first process ended early", Errno(libc::ECHILD)),
                    true,
                ),
            };
            if over {
                self.epoll.remove(channel.as_fd());
                container.channel = None;
            }
            if let Some(waiter) = container.waiter.take() {
                self.answer(waiter, &reply, &[]);
            }
        }
    }

    fn start(&mut self, from: u64, id: &str) -> Result<(), Reply> {
        let number = self.find(id).ok_or(Reply::NotFound {})?;
        let container = self.containers.get_mut(&number).ok_or(Reply::NotFound {})?;
        let Some(channel) = container.channel.as_ref().filter(|_| container.started_at == 0) else {
            return Err(failed_call(
                &format!("starting container {id}: not in state created"),
                Errno(libc::EINVAL),
            ));
        };
        container.started_at = lines::now();
        container.waiter = Some(from);
        // A child that has been killed meanwhile shows as the end of its channel.
        let _ = channel.open_gate();
        Ok(())
    }

    fn exec(
        &mut self,
        from: u64,
        id: &str,
        process: Process,
        cgroup: Option<&str>,
        wanted: u8,
    ) -> Result<(), Reply> {
        let number = self.find(id).ok_or(Reply::NotFound {})?;
        let container = self.containers.get(&number).ok_or(Reply::NotFound {})?;
        if container.ended || container.channel.is_some() || container.start_failed.is_some() {
            return Err(failed_call(
                &format!("exec in container {id}: not running"),
                Errno(libc::ESRCH),
            ));
        }
        let pipes = |errno| failed_call("making the process's pipes", errno);
        let (mut client, mut streams, mut theirs) = (Vec::new(), 0, None);
        if !process.terminal {
            let (our_in, stdin) = stream(wanted & STDIN != 0, true).map_err(pipes)?;
            let (our_out, stdout) = stream(wanted & STDOUT != 0, false).map_err(pipes)?;
            let (our_err, stderr) = stream(wanted & STDERR != 0, false).map_err(pipes)?;
            for (end, bit) in [(our_in, STDIN), (our_out, STDOUT), (our_err, STDERR)] {
                if let Some(end) = end {
                    client.push(end);
                    streams |= bit;
                }
            }
            for end in [&stdin, &stdout, &stderr] {
                if sys::stat_fd(end.as_fd()).is_ok_and(|stat| stat.kind == sys::FileKind::Other) {
                    sys::chown_fd(end.as_fd(), process.uid, u32::MAX).map_err(pipes)?;
                }
            }
            theirs = Some(StandardStreams {
                stdin,
                stdout,
                stderr,
            });
        }
        let Launched { child, channel } = spawn_session(
            &process,
            container.child.pidfd.as_fd(),
            container.child.pid,
            cgroup,
            theirs,
        )
        .map_err(|e| failed(&e))?;
        let exec_number = self.number();
        let _ = sys::set_nonblocking(channel.as_fd(), true);
        let _ = self.epoll.add(
            channel.as_fd(),
            libc::EPOLLIN,
            Token::ExecChannel(exec_number).pack(),
        );
        let exec = Exec {
            child,
            channel: Some(channel),
            process: Some(Box::new(process)),
            connection: Some(from),
            client,
            streams,
            terminal: None,
        };
        self.execs.insert(exec_number, exec);
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.role = Role::Exec(exec_number);
        }
        Ok(())
    }

    /// Something came from an exec'd process before its exec.
    pub(super) fn exec_channel_ready(&mut self, number: u64) {
        loop {
            let Some(exec) = self.execs.get_mut(&number) else {
                return;
            };
            let Some(channel) = &exec.channel else { return };
            let message = match channel.receive() {
                Err(Errno(libc::EAGAIN)) => return,
                Err(_) => None,
                Ok(message) => message,
            };
            let reply = match message {
                Some((RecordKind::Terminal, master)) => {
                    exec.terminal = master;
                    continue;
                }
                Some((RecordKind::Failed(failure), _)) => {
                    exec.client.clear();
                    let process = exec.process.as_ref();
                    process.map_or(Reply::NotFound {}, |p| {
                        failed(&SpawnError::from_failure(failure, None, p))
                    })
                }
                Some(_) => continue,
                None => Reply::Session {
                    streams: exec.streams,
                    terminal: exec.terminal.is_some(),
                },
            };
            self.epoll.remove(channel.as_fd());
            exec.channel = None;
            exec.process = None;
            let mut fds = std::mem::take(&mut exec.client);
            fds.extend(exec.terminal.take());
            let failed = matches!(reply, Reply::Failed { .. });
            let connection = if failed {
                exec.connection.take()
            } else {
                exec.connection
            };
            if let Some(connection) = connection {
                self.answer(connection, &reply, &fds);
            }
        }
    }

    fn kill_session(&mut self, from: u64) {
        let Some(Role::Exec(exec)) = self.connections.get(&from).map(|c| &c.role) else {
            return;
        };
        if let Some(exec) = self.execs.get(exec) {
            let _ = sys::pidfd_signal(exec.child.pidfd.as_fd(), libc::SIGKILL);
        }
    }
}
