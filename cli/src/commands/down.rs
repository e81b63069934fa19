//! `keelson down` and `keelson reset`.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use super::node;
use super::up::lock;
use crate::args::DataDir;
use crate::cluster::{Cluster, MARKER, Ranges, canonical, id_of, is_ours, run_dir_of};
use crate::preflight;
use crate::supervisor::{Process, StateFile};

/// Everything that Keelson puts below a data directory of its own. `reset` removes these, and the directory when it is
/// then empty.
const OWN: &[&str] = &[
    "admin.kubeconfig",
    "kubelet.kubeconfig",
    "netd.kubeconfig",
    "control",
    "images",
    "kubelet",
    "logs",
    "netd",
    "pki",
    "pod-logs",
    "runtime",
    "lock",
    // Last, because they say that the directory is ours.
    "cluster.json",
    MARKER,
];

/// Longest orderly end of a supervisor: three daemons at 20 s, then pods at 10 s.
const SUPERVISOR_LIMIT: Duration = Duration::from_secs(90);

/// Stops the daemons and the pods; data stays.
pub fn down(args: &DataDir) -> Result<()> {
    preflight::root()?;
    let dir = canonical(&args.data_dir)?;
    let cluster = Cluster::require(&dir)?;
    let run_dir = run_dir_of(&id_of(&dir));
    crate::cluster::check_owner(&run_dir, &dir)?;
    let mut errors = stop_daemons(&run_dir);
    let _lock = lock(&dir)?;
    errors.extend(stop_node(&cluster));
    report("down", &errors)
}

/// Stops everything and removes every trace. Safe to repeat, and after any crash.
pub fn reset(args: &DataDir) -> Result<()> {
    preflight::root()?;
    let dir = canonical(&args.data_dir)?;
    let id = id_of(&dir);
    let run_dir = run_dir_of(&id);
    crate::cluster::check_owner(&run_dir, &dir)?;
    if !is_ours(&dir) && !run_dir.exists() {
        println!("no cluster in {}: nothing to remove", dir.display());
        return Ok(());
    }
    // A damaged cluster.json must not stand in the way of removing the cluster.
    let cluster = Cluster::load(&dir).unwrap_or_default();
    let mut errors = stop_daemons(&run_dir);
    let _lock = if dir.exists() { Some(lock(&dir)?) } else { None };
    let ranges = cluster
        .as_ref()
        .map_or(Ranges { network: 42 }, |cluster| cluster.ranges);
    let node_name = cluster.as_ref().map_or("", |cluster| &cluster.node_name);
    errors.extend(node::stop_pods(&id, &dir));
    errors.extend(node::reset_runtime(&id, &dir));
    errors.extend(node::remove_network(&id, &dir, node_name, ranges));
    errors.extend(unmount_ours(&dir, &run_dir));
    if errors.is_empty() {
        // Files go last and only when nothing is mounted or running: a second `reset` still finds its way.
        errors.extend(remove_files(&dir, &run_dir, cluster.as_ref()));
    }
    report("reset", &errors)
}

/// Stops pods and takes the network down; also the end of a foreground `up`.
pub fn stop_node(cluster: &Cluster) -> Vec<String> {
    let id = cluster.id();
    let mut errors = node::stop_pods(&id, &cluster.dir);
    errors.extend(node::remove_network(
        &id,
        &cluster.dir,
        &cluster.node_name,
        cluster.ranges,
    ));
    // Volumes in memory: the kubelet makes them again for pods that start again.
    errors.extend(unmount_ours(&cluster.dir, &cluster.run_dir()));
    errors
}

/// Ends the supervisor, which ends its daemons; or the daemons, if the supervisor is gone.
pub fn stop_daemons(run_dir: &Path) -> Vec<String> {
    let Some(state) = StateFile::read(run_dir) else {
        return Vec::new();
    };
    let daemons: Vec<Process> = state
        .daemons
        .values()
        .filter_map(|daemon| daemon.process)
        .collect();
    let mut errors = Vec::new();
    state.supervisor.signal(Signal::SIGTERM);
    if !state.supervisor.wait(SUPERVISOR_LIMIT) {
        errors.push(format!(
            "the supervisor (pid {}) did not end; killing it",
            state.supervisor.pid
        ));
        state.supervisor.signal(Signal::SIGKILL);
    }
    for daemon in daemons {
        daemon.signal(Signal::SIGTERM);
        if !daemon.wait(Duration::from_secs(20)) {
            daemon.signal(Signal::SIGKILL);
            daemon.wait(Duration::from_secs(5));
        }
    }
    errors
}

/// Detaches the mounts that daemons make below the data and run directories, deepest first. Never the data directory
/// itself, which may be a file system of its own, nor anything that somebody else mounted beside our folders.
fn unmount_ours(dir: &Path, run_dir: &Path) -> Vec<String> {
    let ours = [dir.join("kubelet"), dir.join("runtime"), run_dir.to_owned()];
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<_> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|point| ours.iter().any(|folder| Path::new(point).starts_with(folder)))
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.len()));
    points
        .iter()
        .filter_map(
            |point| match umount2(point.as_str(), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
                // EINVAL: a parent's detach has taken it along.
                Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => None,
                Err(errno) => Some(format!("unmounting {point}: {errno}")),
            },
        )
        .collect()
}

/// Undoes mountinfo's octal escapes (proc(5)).
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

fn remove_files(dir: &Path, run_dir: &Path, cluster: Option<&Cluster>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut remove = |path: &Path| {
        let result = match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
            Ok(_) => std::fs::remove_file(path),
            Err(error) => Err(error),
        };
        if let Err(error) = result
            && error.kind() != ErrorKind::NotFound
        {
            errors.push(format!("removing {}: {error}", path.display()));
        }
    };
    if let Some(cluster) = cluster
        && super::up::is_kubeconfig_of(cluster, &cluster.kubeconfig)
    {
        remove(&cluster.kubeconfig);
    }
    if is_ours(dir) {
        for name in OWN {
            remove(&dir.join(name));
        }
    }
    remove(run_dir);
    // Stays when somebody else keeps files in it.
    let _ = std::fs::remove_dir(dir);
    errors
}

fn report(what: &str, errors: &[String]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    bail!(
        "{what} left something behind; run it again after fixing:\n  {}",
        errors.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_survive_a_reset_of_the_wrong_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        let errors = remove_files(dir.path(), &dir.path().join("no-run-dir"), None);
        assert_eq!(errors, [""; 0]);
        assert!(dir.path().join("images").exists(), "not a directory of ours");
        std::fs::write(dir.path().join(MARKER), "").unwrap();
        std::fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
        assert_eq!(
            remove_files(dir.path(), &dir.path().join("no-run-dir"), None),
            [""; 0]
        );
        assert!(dir.path().join("thesis.txt").exists());
        assert!(!dir.path().join("images").exists());
    }

    #[test]
    fn escapes_of_mountinfo_are_undone() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
    }
}
