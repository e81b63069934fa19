//! Deaths, races and leftovers.

use std::os::fd::AsFd;
use std::time::Duration;

use keelson_runtime::node::*;
use keelson_runtime::sys;

use crate::support::Node;

fn shim_pid(node: &Node, pod: &str) -> i32 {
    let lock = node.config.run_dir.join("pods").join(pod).join("shim.lock");
    let lock = std::fs::File::options()
        .read(true)
        .write(true)
        .open(lock)
        .unwrap();
    sys::lock_holder(lock.as_fd()).unwrap().unwrap()
}

/// Whether a process runs: neither gone nor waiting to be reaped by the machine's init.
fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

fn children(pid: i32) -> usize {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap()
        .split_whitespace()
        .count()
}

#[test]
fn short_lives_end_right() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for n in 0..150 {
        let spec = ContainerSpec {
            log_path: None,
            ..node.shell(&format!("exit {n}"))
        };
        node.runtime.create_container("pod", &spec).unwrap();
        node.runtime.start_container(&spec.id).unwrap();
        assert_eq!(node.wait(&spec.id), n);
        node.runtime.remove_container(&spec.id).unwrap();
    }
    assert_eq!(children(shim_pid(&node, "pod")), 0, "zombies");
}

#[test]
fn a_killed_shim_is_noticed_and_cleaned_up_after() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &spec).unwrap();
    let pid = node.runtime.start_container(&spec.id).unwrap().pid.unwrap();
    let mut events = node.runtime.events().unwrap();
    let shim = shim_pid(&node, "pod");
    let handle = sys::pidfd_open(shim).unwrap();
    sys::kill_pid(shim, 9).unwrap();
    sys::poll_readable(handle.as_fd(), 5000).unwrap();
    assert_eq!(
        node.runtime.container(&spec.id).unwrap().unwrap().phase,
        Phase::Unknown
    );
    assert!(sys::poll_readable(events.fd(), 5000).unwrap());
    assert_eq!(events.try_next().unwrap(), Some(Event::Exited(spec.id.clone())));
    assert!(!node.runtime.sandbox("pod").unwrap().unwrap().ready);
    // The same sandbox can be made again; what was in it is lost, and gone.
    assert!(node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap().ready);
    assert_eq!(
        node.runtime.container(&spec.id).unwrap().unwrap().phase,
        Phase::Unknown
    );
    assert!(!runs(pid));
    assert_eq!(node.run_in("pod", &node.shell("exit 8")).0, 8);
}

#[test]
fn an_unreadable_record_does_not_hide_the_end_of_a_shim() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    let bad = node.config.root.join("containers/bad");
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("container.json"), "{").unwrap();
    let mut events = node.runtime.events().unwrap();
    let shim = shim_pid(&node, "pod");
    let handle = sys::pidfd_open(shim).unwrap();
    sys::kill_pid(shim, 9).unwrap();
    sys::poll_readable(handle.as_fd(), 5000).unwrap();
    assert!(sys::poll_readable(events.fd(), 5000).unwrap());
    assert_eq!(events.try_next().unwrap(), Some(Event::Exited(spec.id.clone())));
    std::fs::remove_dir_all(bad).unwrap();
}

#[test]
fn a_created_container_dies_with_its_shim() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = node.container(&["sleep", "1000"]);
    let pid = node.runtime.create_container("pod", &spec).unwrap().pid.unwrap();
    assert_eq!(
        node.runtime.container(&spec.id).unwrap().unwrap().phase,
        Phase::Created
    );
    let handle = sys::pidfd_open(pid).unwrap();
    sys::kill_pid(shim_pid(&node, "pod"), 9).unwrap();
    assert!(sys::poll_readable(handle.as_fd(), 5000).unwrap());
}

#[test]
fn a_created_container_can_be_removed() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = node.container(&["true"]);
    let pid = node.runtime.create_container("pod", &spec).unwrap().pid.unwrap();
    node.runtime.remove_container(&spec.id).unwrap();
    assert!(node.runtime.container(&spec.id).unwrap().is_none());
    assert!(!runs(pid));
}

#[test]
fn two_callers_at_once() {
    let node = Node::new();
    let spec = node.container(&["true"]);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = NodeRuntime::open(node.config.clone()).unwrap();
                    runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
                    runtime.create_container("pod", &spec).map(drop)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    assert!(
        results
            .iter()
            .filter_map(|r| r.as_ref().err())
            .all(|e| matches!(e, Error::AlreadyExists(_)))
    );
}

/// kill -9 of a caller at random moments of its work: another one cleans up after it.
#[test]
fn callers_killed_at_any_moment_leave_nothing_uncleanable() {
    if let Some(directory) = std::env::var_os("KEELSON_TEST_VICTIM") {
        victim(std::path::Path::new(&directory));
    }
    let node = Node::new();
    let write = |name: &str, json: Vec<u8>| std::fs::write(node.directory.path().join(name), json).unwrap();
    write(
        "victim-sandbox.json",
        serde_json::to_vec(&Node::sandbox("pod")).unwrap(),
    );
    let container = ContainerSpec {
        log_path: None,
        ..node.container(&["sleep", "1000"])
    };
    write("victim-container.json", serde_json::to_vec(&container).unwrap());
    for round in 0..25 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "faults::callers_killed_at_any_moment_leave_nothing_uncleanable",
            ])
            .env("KEELSON_TEST_VICTIM", node.directory.path())
            .env("KEELSON_TEST_CGROUP", &node.config.cgroup_root)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(5_000 + round * 1_700));
        child.kill().unwrap();
        child.wait().unwrap();
        for state in node.runtime.containers().unwrap() {
            assert!(matches!(
                state.phase,
                Phase::Created | Phase::Running | Phase::Unknown | Phase::Exited { .. }
            ));
        }
        node.runtime.remove_sandbox("pod").unwrap();
        assert!(
            node.runtime.containers().unwrap().is_empty() && node.runtime.sandboxes().unwrap().is_empty()
        );
        let pods = std::fs::read_dir(node.config.run_dir.join("pods")).unwrap();
        // The mount namespace that all pods' containers come from stays.
        let pods = pods.filter(|entry| entry.as_ref().unwrap().file_name() != ".stage");
        assert_eq!(pods.count(), 0);
        assert_eq!(
            std::fs::read_dir(node.config.run_dir.join("running"))
                .unwrap()
                .count(),
            0
        );
    }
}

/// Makes a pod and containers, over and over, until killed.
fn victim(directory: &std::path::Path) -> ! {
    let config = NodeConfig {
        root: directory.join("root"),
        run_dir: directory.join("run"),
        cgroup_root: std::env::var("KEELSON_TEST_CGROUP").unwrap(),
        cgroups: false,
    };
    let runtime = NodeRuntime::open(config.clone()).unwrap();
    let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
    let sandbox: SandboxSpec = serde_json::from_slice(&read("victim-sandbox.json")).unwrap();
    let container: ContainerSpec = serde_json::from_slice(&read("victim-container.json")).unwrap();
    loop {
        let _ = runtime.create_sandbox(&sandbox);
        for _ in 0..3 {
            let spec = ContainerSpec {
                id: runtime.new_container_id(),
                ..container.clone()
            };
            if runtime.create_container("pod", &spec).is_ok() {
                let _ = runtime.start_container(&spec.id);
            }
        }
        let _ = runtime.remove_sandbox("pod");
    }
}
