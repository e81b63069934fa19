//! Ends: of processes, of containers, of the shim.

use std::io::{Read, Seek};
use std::os::fd::AsFd;

use super::container::{self, Output, kill_cgroup};
use super::lines;
use super::protocol::{ExitRecord, Reply};
use super::server::{Server, Token};
use super::sessions::Role;
use crate::sys::{self, Exit};

/// Output still in the pipes when a container ends is read up to this many chunks a stream, in case some process
/// outside its process namespace keeps writing.
const LAST_CHUNKS: usize = 1024;

/// How long a killed process may take to end.
const STUCK_MS: i32 = 5_000;

impl Server {
    /// Reaps every child that has ended: ours, and orphans that came to us.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, exit))) = sys::wait_any() {
            let container = self
                .containers
                .values()
                .find(|c| c.child.pid == pid && !c.ended)
                .map(|c| c.number);
            let exec = self
                .execs
                .iter()
                .find(|(_, e)| e.child.pid == pid)
                .map(|(n, _)| *n);
            if let Some(number) = container {
                self.container_ended(number, exit);
            } else if let Some(number) = exec {
                self.exec_channel_ready(number); // its session's reply goes out before its end
                if let Some(connection) = self.execs.remove(&number).and_then(|exec| exec.connection) {
                    self.answer(
                        connection,
                        &Reply::Exited {
                            code: exit.shell_code(),
                        },
                        &[],
                    );
                }
            } else if self.init.as_ref().is_some_and(|init| init.pid == pid) {
                self.init = None;
            }
        }
    }

    fn container_ended(&mut self, number: u64, exit: Exit) {
        self.container_channel_ready(number);
        for output in [Output::Stdout, Output::Stderr] {
            self.pump(number, output, LAST_CHUNKS);
        }
        self.memory_event(number);
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        container.ended = true;
        if let Some(cgroup) = container.cgroup.as_ref().filter(|_| !container.own_pid_namespace) {
            kill_cgroup(cgroup); // without a process namespace of its own, others of it may be left
        }
        if let Some(log) = &mut container.log {
            log.finish(false);
            log.finish(true);
        }
        let signal = match (exit, container.start_failed) {
            (Exit::Signal(signal), None) => Some(signal),
            _ => None,
        };
        let code = container.start_failed.unwrap_or(exit.shell_code());
        let record = ExitRecord {
            code,
            signal,
            started_at: container.started_at,
            finished_at: lines::now(),
            oom_killed: container
                .memory_events
                .as_ref()
                .is_some_and(|(_, kills)| *kills > 0),
        };
        container::record_exit(&self.exits, &container.id, &record);
        self.release(number);
        let attached: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| matches!(&c.role, Role::Attach(attach) if attach.container == number))
            .map(|(n, _)| *n)
            .collect();
        for connection in attached {
            self.answer(connection, &Reply::Exited { code }, &[]);
            if let Some(entry) = self.connections.get_mut(&connection) {
                let role = std::mem::replace(&mut entry.role, Role::Plain); // closes its pipes
                if let Role::Attach(attach) = &role {
                    self.end_attach_input(attach);
                }
            }
        }
    }

    /// Closes what an ended container held open.
    fn release(&mut self, number: u64) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let streams = [
            container.stdout.take(),
            container.stderr.take(),
            container.stdin.take(),
        ];
        for fd in streams.into_iter().flatten() {
            self.epoll.remove(fd.as_fd());
        }
        if let Some((file, _)) = container.memory_events.take() {
            self.epoll.remove(file.as_fd());
        }
        container.log = None;
        container.plan = None;
        container.pending_input = Vec::new();
    }

    /// Watches a container's `memory.events`, where the memory controller is on.
    pub(super) fn watch_memory(&mut self, number: u64) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let Some(cgroup) = &container.cgroup else { return };
        let Ok(file) = std::fs::File::open(format!("{cgroup}/memory.events")) else {
            return;
        };
        if self
            .epoll
            .add(file.as_fd(), libc::EPOLLPRI, Token::Memory(number).pack())
            .is_ok()
        {
            container.memory_events = Some((file, 0));
        }
    }

    /// `memory.events` has changed, or is read a last time.
    pub(super) fn memory_event(&mut self, number: u64) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let Some((file, told)) = &mut container.memory_events else {
            return;
        };
        let mut text = String::new();
        if file.rewind().is_err() || file.read_to_string(&mut text).is_err() {
            return;
        }
        let kills = container::oom_kills(&text);
        if kills > *told {
            *told = kills;
            container::record_oom(&self.exits, &container.id);
        }
    }

    /// Drops a container from memory. One that still lives is killed, and stays until it has been reaped.
    pub(super) fn forget(&mut self, id: &str) {
        let Some(number) = self.find(id) else { return };
        let Some(container) = self.containers.get(&number) else {
            return;
        };
        if container.ended {
            self.release(number);
            self.containers.remove(&number);
        } else {
            let _ = sys::pidfd_signal(container.child.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    /// Kills all that runs in the pod, waits for its end, and ends.
    pub(super) fn shut_down(&mut self) {
        if let Some(cgroup) = &self.pod_cgroup {
            kill_cgroup(cgroup);
        }
        for container in self.containers.values().filter(|c| !c.ended) {
            let _ = sys::pidfd_signal(container.child.pidfd.as_fd(), libc::SIGKILL);
        }
        for exec in self.execs.values() {
            let _ = sys::pidfd_signal(exec.child.pidfd.as_fd(), libc::SIGKILL);
        }
        if let Some(init) = &self.init {
            let _ = sys::pidfd_signal(init.pidfd.as_fd(), libc::SIGKILL);
        }
        // The first process of a PID namespace cannot end before the processes that `exec` put there, our children, have
        // been reaped: so whoever ends is reaped, until nobody is left. The limit is for one stuck in the kernel.
        loop {
            self.reap();
            let left = self.containers.values().any(|c| !c.ended) || !self.execs.is_empty();
            if !left || !sys::poll_readable(self.signals.as_fd(), STUCK_MS).unwrap_or(false) {
                break;
            }
            sys::drain_signal_fd(self.signals.as_fd());
        }
        self.done = true;
    }
}
