//! Limits of pods and containers, through the library that the kubelet uses.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keelson_runtime::node::*;

use crate::support::Node;
use crate::{eventually, keyed, read};

const MIB: i64 = 1 << 20;

/// Touches that many MiB at once.
fn eat(mib: i64) -> String {
    format!("dd if=/dev/zero of=/dev/null bs={mib}M count=1")
}

fn memory(limit: i64) -> Resources {
    Resources {
        memory_limit: Some(limit),
        ..Resources::default()
    }
}

/// The cgroup of a container, whose directory has its id.
fn cgroup(node: &Node, id: &str) -> PathBuf {
    fn find(directory: PathBuf, name: &str) -> Option<PathBuf> {
        if directory.file_name().is_some_and(|last| last == name) {
            return Some(directory);
        }
        std::fs::read_dir(&directory)
            .ok()?
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .find_map(|entry| find(entry.path(), name))
    }
    let top = PathBuf::from("/sys/fs/cgroup").join(&node.config.cgroup_root);
    find(top, id).unwrap_or_else(|| panic!("no cgroup of {id}"))
}

fn start(node: &Node, spec: &ContainerSpec) {
    node.runtime.create_container("pod", spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
}

fn running(node: &Node, spec: &ContainerSpec) -> bool {
    node.runtime.container(&spec.id).unwrap().unwrap().phase == Phase::Running
}

fn assert_oom_killed(node: &Node, spec: &ContainerSpec) {
    let phase = node.runtime.container(&spec.id).unwrap().unwrap().phase;
    assert!(
        matches!(
            phase,
            Phase::Exited {
                exit_code: 137,
                signal: Some(9),
                oom_killed: true,
                ..
            }
        ),
        "{phase:?}: {}",
        Node::log(spec)
    );
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn too_much_memory_ends_the_container_and_no_other() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let mut events = node.runtime.events().unwrap();
    let neighbour = node.shell("sleep 1000");
    start(&node, &neighbour);
    let mut hungry = node.shell(&format!("{}; echo survived", eat(200)));
    hungry.resources = memory(32 * MIB);
    start(&node, &hungry);
    assert_eq!(
        read(&cgroup(&node, &hungry.id), "memory.max"),
        (32 * MIB).to_string()
    );
    node.wait(&hungry.id);
    assert_oom_killed(&node, &hungry);
    assert!(!Node::log(&hungry).contains("survived"));
    let mut told = Vec::new();
    eventually("the kill and the end are told", || {
        while let Some(event) = events.try_next().unwrap() {
            told.push(event);
        }
        told.contains(&Event::Oom(hungry.id.clone())) && told.contains(&Event::Exited(hungry.id.clone()))
    });
    assert!(!told.contains(&Event::Oom(neighbour.id.clone())));
    let pid = node
        .runtime
        .container(&neighbour.id)
        .unwrap()
        .unwrap()
        .pid
        .unwrap();
    // Not the shim's, whom the kernel spares.
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "0");
    assert!(running(&node, &neighbour));
    // The pod goes on: its shim is no victim.
    let (code, output) = node.run_in("pod", &node.shell("echo fine"));
    assert_eq!((code, output.as_str()), (0, "fine\n"));
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn within_its_limit_a_container_lives() {
    let node = Node::new();
    let mut spec = node.shell(&format!("{} && echo enough", eat(40)));
    spec.resources = memory(96 * MIB);
    let (code, output) = node.run(&spec);
    assert!(code == 0 && output.ends_with("enough\n"), "{output}");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn a_pods_limit_ends_the_greedy_container() {
    let node = Node::new();
    let mut pod = Node::sandbox("pod");
    pod.resources = memory(64 * MIB);
    pod.qos = QosClass::Burstable;
    node.runtime.create_sandbox(&pod).unwrap();
    let neighbour = node.shell("sleep 1000");
    start(&node, &neighbour);
    let hungry = node.shell(&eat(200));
    start(&node, &hungry);
    node.wait(&hungry.id);
    let phase = node.runtime.container(&hungry.id).unwrap().unwrap().phase;
    assert!(
        matches!(
            phase,
            Phase::Exited {
                exit_code: 137,
                oom_killed: true,
                ..
            }
        ),
        "{phase:?}"
    );
    assert!(running(&node, &neighbour));
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn a_limit_raised_while_running() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let mut spec = node.shell(&format!(
        "trap : TERM; sleep 1000 & wait; {} && echo enough",
        eat(60)
    ));
    spec.resources = memory(32 * MIB);
    start(&node, &spec);
    let pid = node.runtime.container(&spec.id).unwrap().unwrap().pid.unwrap();
    eventually("the shell waits for its child", || {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|text| !text.is_empty())
    });
    node.runtime
        .update_container(&spec.id, &memory(160 * MIB))
        .unwrap();
    assert_eq!(
        read(&cgroup(&node, &spec.id), "memory.max"),
        (160 * MIB).to_string()
    );
    node.runtime.signal(&spec.id, 15).unwrap();
    assert_eq!(node.wait(&spec.id), 0, "{}", Node::log(&spec));
    assert!(Node::log(&spec).ends_with("enough\n"), "{}", Node::log(&spec));
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn cpu_time_is_throttled_to_the_share() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let mut spec = node.shell("while :; do :; done");
    spec.resources = Resources {
        cpu_quota: Some(20_000),
        cpu_period: Some(100_000),
        cpu_shares: Some(512),
        ..Resources::default()
    };
    start(&node, &spec);
    let cgroup = cgroup(&node, &spec.id);
    assert_eq!(read(&cgroup, "cpu.max"), "20000 100000");
    assert_eq!(read(&cgroup, "cpu.weight"), "20");
    let usage = || node.runtime.container_stats(&spec.id).unwrap().cpu_usage_ns;
    let (begin, before) = (Instant::now(), usage());
    std::thread::sleep(Duration::from_secs(4));
    let share = (usage() - before) as f64 / begin.elapsed().as_nanos() as f64;
    assert!((0.14..0.26).contains(&share), "{share}");
    assert!(keyed(&cgroup, "cpu.stat", "nr_throttled") > 10);
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn a_fork_bomb_is_stopped() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let mut bomb = node.shell("bomb() { bomb | bomb & }; bomb & exec sleep 1000");
    bomb.resources.pids_limit = Some(20);
    // It leaves this test something of an emulated processor.
    bomb.resources.cpu_quota = Some(30_000);
    start(&node, &bomb);
    let cgroup = cgroup(&node, &bomb.id);
    eventually("forks are refused", || keyed(&cgroup, "pids.events", "max") > 5);
    assert!(node.runtime.container_stats(&bomb.id).unwrap().pids <= 20);
    let (code, output) = node.run_in("pod", &node.shell("echo fine"));
    assert_eq!((code, output.as_str()), (0, "fine\n"));
    let state = node.runtime.stop_container(&bomb.id, Duration::ZERO).unwrap();
    assert!(
        matches!(
            state.phase,
            Phase::Exited {
                exit_code: 137 | 2,
                ..
            }
        ),
        "{:?}",
        state.phase
    );
    eventually("everything has ended", || {
        keyed(&cgroup, "cgroup.events", "populated") == 0
    });
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn usage_is_the_kernels_own() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    // A tmpfs page is charged to whoever made it.
    let spec = node.shell("dd if=/dev/zero of=/dev/shm/full bs=1M count=20; sleep 1000");
    start(&node, &spec);
    eventually("20 MiB are charged", || {
        node.runtime.container_stats(&spec.id).unwrap().memory_usage >= 20 << 20
    });
    let stats = node.runtime.container_stats(&spec.id).unwrap();
    assert!(stats.memory_usage < 40 << 20, "{stats:?}");
    assert!(
        stats.cpu_usage_ns > 0 && (1..=3).contains(&stats.pids),
        "{stats:?}"
    );
    let pod = node.runtime.sandbox_stats("pod").unwrap();
    assert!(pod.memory_usage >= 20 << 20 && pod.pids > 0, "{pod:?}"); // dd may have gone meanwhile
    let cgroup = cgroup(&node, &spec.id);
    node.runtime.remove_sandbox("pod").unwrap();
    assert!(!cgroup.exists());
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn devices_outside_the_list_are_refused() {
    let node = Node::new();
    // /dev/kmsg exists on every machine and is on nobody's list.
    let spec = node.shell("mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg; echo $?; head -c 1 /dev/zero | wc -c");
    let (code, output) = node.run(&spec);
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains("not permitted") && output.ends_with("1\n1\n"),
        "{output}"
    );
}
