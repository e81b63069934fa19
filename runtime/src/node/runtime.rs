//! The node-level runtime itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cgroups::Cgroups;
use super::layout::Layout;
use super::state::{make_private_dir, sweep_torn};
use super::{
    ContainerId, ContainerSpec, ContainerState, Error, Events, Exec, ExecSpec, NodeConfig, Resources,
    SandboxSpec, SandboxState, Stats, containers, exec, reset, sandboxes, stats,
};
use crate::sys;

/// Handle on the runtime of this node; cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct NodeRuntime {
    inner: Arc<Inner>,
}

/// What every operation needs.
#[derive(Debug)]
pub(super) struct Inner {
    pub layout: Layout,
    pub cgroups: Option<Cgroups>,
}

impl NodeRuntime {
    /// Opens (and creates) the state directories and adopts what already runs.
    #[allow(clippy::needless_pass_by_value)] // the seam that callers know
    pub fn open(config: NodeConfig) -> Result<Self, Error> {
        let valid = !config.cgroup_root.is_empty()
            && !config.cgroup_root.starts_with('/')
            && config
                .cgroup_root
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..");
        if !valid {
            return Err(Error::Invalid(format!(
                "cgroup root {:?} must be a relative name",
                config.cgroup_root
            )));
        }
        let layout = Layout::new(&config);
        let absolute = |path: &PathBuf| -> Result<PathBuf, Error> {
            std::path::absolute(path).map_err(Error::io(format!("finding {}", path.display())))
        };
        let layout = Layout {
            root: absolute(&layout.root)?,
            run: absolute(&layout.run)?,
        };
        let directories = [
            layout.root.clone(),
            layout.sandboxes(),
            layout.containers(),
            layout.run.clone(),
            layout.running(),
            layout.exits(),
            layout.locks(),
        ];
        directories.iter().try_for_each(|path| make_private_dir(path))?;
        sweep_torn(&layout.containers(), "container.json")?;
        sweep_torn(&layout.sandboxes(), "sandbox.json")?;
        sandboxes::mount_pods(&layout)?;
        let cgroups = Cgroups::find(&config)?;
        Ok(Self {
            inner: Arc::new(Inner { layout, cgroups }),
        })
    }

    /// A fresh random container id.
    pub fn new_container_id(&self) -> ContainerId {
        sys::random_bytes()
            .iter()
            .fold(String::with_capacity(64), |mut id, byte| {
                use std::fmt::Write;
                let _ = write!(id, "{byte:02x}"); // writing to a String cannot fail
                id
            })
    }

    /// Creates and pins the pod's namespaces, its cgroup and its shim. Idempotent for an equal spec.
    pub fn create_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxState, Error> {
        sandboxes::create(&self.inner, spec)
    }

    /// Records the addresses netd gave, so that they survive a kubelet restart.
    pub fn set_sandbox_ips(&self, id: &str, ips: &[IpAddr]) -> Result<(), Error> {
        sandboxes::set_ips(&self.inner, id, ips)
    }

    /// One sandbox, or `None`.
    pub fn sandbox(&self, id: &str) -> Result<Option<SandboxState>, Error> {
        sandboxes::find(&self.inner, id)
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Result<Vec<SandboxState>, Error> {
        sandboxes::all(&self.inner)
    }

    /// Kills what still runs in it and removes every trace. Removing an absent sandbox is not an error.
    pub fn remove_sandbox(&self, id: &str) -> Result<(), Error> {
        sandboxes::remove(&self.inner, id)
    }

    /// Prepares a container up to just before `exec` of its program.
    pub fn create_container(&self, sandbox: &str, spec: &ContainerSpec) -> Result<ContainerState, Error> {
        containers::create(&self.inner, sandbox, spec)
    }

    /// Runs the program of a created container.
    pub fn start_container(&self, id: &str) -> Result<ContainerState, Error> {
        containers::start(&self.inner, id)
    }

    /// One container, or `None`.
    pub fn container(&self, id: &str) -> Result<Option<ContainerState>, Error> {
        containers::find(&self.inner, id)
    }

    /// All containers, running or not.
    pub fn containers(&self) -> Result<Vec<ContainerState>, Error> {
        containers::all(&self.inner)
    }

    /// Sends a signal to the first process. Not an error if it has ended.
    pub fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        containers::signal(&self.inner, id, signal)
    }

    /// Stops a container: stop signal, then SIGKILL to all of it after `grace`. Blocks until it has ended.
    pub fn stop_container(&self, id: &str, grace: Duration) -> Result<ContainerState, Error> {
        containers::stop(&self.inner, id, grace)
    }

    /// Removes an ended container and its writable layer (its log stays). Absent is not an error; one that still lives
    /// is killed.
    pub fn remove_container(&self, id: &str) -> Result<(), Error> {
        containers::remove(&self.inner, id)
    }

    /// Reopens or rotates nothing itself: asks the shim to start a fresh log file now.
    pub fn reopen_log(&self, id: &str) -> Result<(), Error> {
        containers::reopen_log(&self.inner, id)
    }

    /// Starts a process in a running container, with exactly the confinement of its first process.
    pub fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Exec, Error> {
        exec::exec(&self.inner, id, spec)
    }

    /// Connects to the standard streams of the first process: output from now on, and its stdin.
    pub fn attach(&self, id: &str) -> Result<Exec, Error> {
        exec::attach(&self.inner, id)
    }

    /// Applies new limits to a running container.
    pub fn update_container(&self, id: &str, resources: &Resources) -> Result<(), Error> {
        containers::update(&self.inner, id, resources)
    }

    /// Usage of a container.
    pub fn container_stats(&self, id: &str) -> Result<Stats, Error> {
        stats::container(&self.inner, id)
    }

    /// Usage of a whole sandbox.
    pub fn sandbox_stats(&self, id: &str) -> Result<Stats, Error> {
        stats::sandbox(&self.inner, id)
    }

    /// Subscribes to events of all containers, those of adopted ones included.
    pub fn events(&self) -> Result<Events, Error> {
        Events::new(&self.inner.layout)
    }

    /// Removes every sandbox, container, mount, cgroup and file of this runtime (`keelson reset`). Goes on after an
    /// error and reports all of them.
    pub fn reset(&self) -> Result<(), Vec<Error>> {
        reset::reset(&self.inner)
    }
}
