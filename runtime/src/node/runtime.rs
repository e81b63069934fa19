//! The node-level runtime itself.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{
    ContainerId, ContainerSpec, ContainerState, Error, Event, ExecSpec, NodeConfig, SandboxSpec,
    SandboxState, Stats,
};

/// Handle on the runtime of this node; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct NodeRuntime {
    config: NodeConfig,
}

impl NodeRuntime {
    /// Opens (and creates) the state directories and adopts what already runs.
    pub fn open(config: NodeConfig) -> Result<Self, Error> {
        Ok(Self { config })
    }

    /// A fresh random container id.
    pub fn new_container_id(&self) -> ContainerId {
        unimplemented!("{:?}", self.config)
    }

    /// Creates and pins the pod's namespaces, its cgroup and its shim. Idempotent for an equal spec.
    pub fn create_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxState, Error> {
        unimplemented!("{spec:?}")
    }

    /// Records the addresses netd gave, so that they survive a kubelet restart.
    pub fn set_sandbox_ips(&self, id: &str, ips: &[IpAddr]) -> Result<(), Error> {
        unimplemented!("{id} {ips:?}")
    }

    /// One sandbox, or `None`.
    pub fn sandbox(&self, id: &str) -> Result<Option<SandboxState>, Error> {
        unimplemented!("{id}")
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Result<Vec<SandboxState>, Error> {
        unimplemented!()
    }

    /// Kills what still runs in it and removes every trace. Removing an absent sandbox is not an error.
    pub fn remove_sandbox(&self, id: &str) -> Result<(), Error> {
        unimplemented!("{id}")
    }

    /// Prepares a container up to just before `exec` of its program.
    pub fn create_container(&self, sandbox: &str, spec: &ContainerSpec) -> Result<ContainerState, Error> {
        unimplemented!("{sandbox} {spec:?}")
    }

    /// Runs the program of a created container.
    pub fn start_container(&self, id: &str) -> Result<ContainerState, Error> {
        unimplemented!("{id}")
    }

    /// One container, or `None`.
    pub fn container(&self, id: &str) -> Result<Option<ContainerState>, Error> {
        unimplemented!("{id}")
    }

    /// All containers, running or not.
    pub fn containers(&self) -> Result<Vec<ContainerState>, Error> {
        unimplemented!()
    }

    /// Sends a signal to the first process. Not an error if it has ended.
    pub fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        unimplemented!("{id} {signal}")
    }

    /// Stops a container: stop signal, then SIGKILL to all of it after `grace`. Blocks until it has ended.
    pub fn stop_container(&self, id: &str, grace: Duration) -> Result<ContainerState, Error> {
        unimplemented!("{id} {grace:?}")
    }

    /// Removes an ended container and its writable layer (its log stays). Absent is not an error.
    pub fn remove_container(&self, id: &str) -> Result<(), Error> {
        unimplemented!("{id}")
    }

    /// Reopens or rotates nothing itself: asks the shim to start a fresh log file now.
    pub fn reopen_log(&self, id: &str) -> Result<(), Error> {
        unimplemented!("{id}")
    }

    /// Starts a process in a running container, with exactly the confinement of its first process.
    pub fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Exec, Error> {
        unimplemented!("{id} {spec:?}")
    }

    /// Connects to the standard streams of the first process: output from now on, and its stdin.
    pub fn attach(&self, id: &str) -> Result<Exec, Error> {
        unimplemented!("{id}")
    }

    /// Applies new limits to a running container.
    pub fn update_container(&self, id: &str, resources: &super::Resources) -> Result<(), Error> {
        unimplemented!("{id} {resources:?}")
    }

    /// Usage of a container.
    pub fn container_stats(&self, id: &str) -> Result<Stats, Error> {
        unimplemented!("{id}")
    }

    /// Usage of a whole sandbox.
    pub fn sandbox_stats(&self, id: &str) -> Result<Stats, Error> {
        unimplemented!("{id}")
    }

    /// Subscribes to events of all containers, those of adopted ones included.
    pub fn events(&self) -> Result<Events, Error> {
        unimplemented!()
    }

    /// Removes every sandbox, container, mount, cgroup and file of this runtime (`keelson reset`). Goes on after an
    /// error and reports all of them.
    pub fn reset(&self) -> Result<(), Vec<Error>> {
        unimplemented!()
    }
}

/// A running exec or attach session. Dropping it closes our ends; an exec'd process then sees EOF and SIGHUP if it
/// has a terminal.
#[derive(Debug)]
pub struct Exec {
    /// Write end of its stdin.
    pub stdin: Option<OwnedFd>,
    /// Read end of its stdout (or of its terminal).
    pub stdout: Option<OwnedFd>,
    /// Read end of its stderr.
    pub stderr: Option<OwnedFd>,
    exit: OwnedFd,
}

impl Exec {
    /// Becomes readable when the process has ended; then [`Exec::wait`] does not block.
    pub fn exit_fd(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    /// Waits for the end and returns the exit code (128 + signal where a signal ended it).
    pub fn wait(&mut self) -> Result<i32, Error> {
        unimplemented!()
    }

    /// Changes the terminal's size.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        unimplemented!("{columns}x{rows}")
    }

    /// Kills the exec'd process (no effect on attach sessions).
    pub fn kill(&self) -> Result<(), Error> {
        unimplemented!()
    }
}

/// Stream of runtime events.
#[derive(Debug)]
pub struct Events {
    fd: OwnedFd,
}

impl Events {
    /// Becomes readable when an event is pending (for `AsyncFd`).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Takes one pending event without blocking.
    pub fn try_next(&mut self) -> Result<Option<Event>, Error> {
        unimplemented!()
    }
}
