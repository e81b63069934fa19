//! Stopping what runs on the node without its daemons: pods, then the network.

use std::path::Path;
use std::time::Duration;

use keelson_runtime::node::{NodeRuntime, Phase};

use crate::cluster::{Ranges, config, run_dir_of};

/// How long a container gets between its stop signal and SIGKILL when the whole cluster goes down.
const GRACE: Duration = Duration::from_secs(10);

/// Stops every pod gracefully and removes its sandbox. Goes on after an error; returns all of them.
pub fn stop_pods(id: &str, dir: &Path) -> Vec<String> {
    if !dir.join("runtime").exists() && !run_dir_of(id).exists() {
        return Vec::new();
    }
    let runtime = match NodeRuntime::open(config::node_runtime(id, dir, false)) {
        Ok(runtime) => runtime,
        Err(error) => return vec![format!("opening the runtime: {error}")],
    };
    let mut errors = Vec::new();
    let containers = runtime.containers().unwrap_or_else(|error| {
        errors.push(format!("listing containers: {error}"));
        Vec::new()
    });
    std::thread::scope(|scope| {
        let stops: Vec<_> = containers
            .iter()
            .filter(|container| container.phase == Phase::Running)
            .map(|container| scope.spawn(|| runtime.stop_container(&container.spec.id, GRACE)))
            .collect();
        for stop in stops {
            match stop.join() {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => errors.push(error.to_string()),
                Err(_) => errors.push("stopping a container panicked".to_owned()),
            }
        }
    });
    match runtime.sandboxes() {
        Ok(sandboxes) => {
            let removals = sandboxes
                .iter()
                .filter_map(|sandbox| runtime.remove_sandbox(&sandbox.spec.id).err());
            errors.extend(removals.map(|error| error.to_string()));
        }
        Err(error) => errors.push(format!("listing sandboxes: {error}")),
    }
    errors
}

/// Removes every trace of the runtime.
pub fn reset_runtime(id: &str, dir: &Path) -> Vec<String> {
    match NodeRuntime::open(config::node_runtime(id, dir, false)) {
        Ok(runtime) => match runtime.reset() {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        },
        Err(error) => vec![format!("opening the runtime: {error}")],
    }
}

/// Removes interfaces, routes and tables.
pub fn remove_network(id: &str, dir: &Path, node_name: &str, ranges: Ranges) -> Vec<String> {
    let config = config::netd(id, dir, node_name, ranges);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![format!("starting the event loop: {error}")],
    };
    match runtime.block_on(keelson_netd::reset(&config)) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}
