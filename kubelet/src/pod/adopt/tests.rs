#![allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole

use std::time::{Duration, SystemTime};

use keelson_runtime::node::{ContainerSpec, QosClass, Resources, RootfsSource, SandboxSpec, Seccomp, User};
use serde_json::{Value, json};

use super::*;

fn pod(policy: &str, statuses: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": [{"name": "i", "image": "img"}],
            "containers": [{"name": "a", "image": "img"}]},
        "status": {"startTime": "2026-01-01T00:00:00Z", "phase": "Running", "containerStatuses": statuses}}))
    .unwrap()
}

fn told(id: &str, state: Value, restarts: i32, ready: bool) -> Value {
    json!([{"name": "a", "image": "img", "imageID": "x", "containerID": format!("keelson://{id}"), "ready": ready,
        "started": ready, "restartCount": restarts, "state": state}])
}

fn sandbox(ready: bool) -> SandboxState {
    SandboxState {
        spec: SandboxSpec {
            id: "u".into(),
            namespace: "ns".into(),
            name: "p".into(),
            hostname: "p".into(),
            host_network: false,
            host_pid: false,
            host_ipc: false,
            share_pid: false,
            sysctls: BTreeMap::new(),
            qos: QosClass::BestEffort,
            resources: Resources::default(),
        },
        netns: None,
        created_at: SystemTime::UNIX_EPOCH,
        ips: vec!["10.42.0.3".parse().unwrap()],
        ready,
    }
}

fn container(name: &str, id: &str, attempt: u32, phase: Phase) -> ContainerState {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    ContainerState {
        spec: ContainerSpec {
            id: id.into(),
            name: name.into(),
            attempt,
            image: "img".into(),
            image_id: "sha256:1".into(),
            rootfs: RootfsSource::Layers(vec![]),
            args: vec![],
            env: vec![],
            cwd: String::new(),
            user: User::default(),
            mounts: vec![],
            devices: vec![],
            resources: Resources::default(),
            cap_add: vec![],
            cap_drop: vec![],
            privileged: false,
            no_new_privileges: false,
            read_only_rootfs: false,
            unmasked_proc: false,
            seccomp: Seccomp::RuntimeDefault,
            tty: false,
            stdin: false,
            stdin_once: false,
            log_path: None,
            log_max_size: 0,
            log_max_files: 0,
            stop_signal: None,
            labels: BTreeMap::new(),
        },
        sandbox: "u".into(),
        phase,
        pid: None,
        created_at: at,
        started_at: Some(at),
        user: None,
    }
}

fn exited(code: i32) -> Phase {
    Phase::Exited {
        exit_code: code,
        signal: None,
        finished_at: SystemTime::UNIX_EPOCH,
        oom_killed: false,
    }
}

fn adopted(pod: &Pod, sandbox: Option<&SandboxState>, containers: Vec<ContainerState>) -> Adopted {
    adopt(pod, sandbox, containers, |_| Some("said".into()))
}

#[test]
fn what_runs_goes_on_as_it_was() {
    let pod = pod("Always", told("c2", json!({"running": {}}), 2, true));
    let runs = vec![
        container("a", "c2", 2, Phase::Running),
        container("a", "c0", 0, exited(1)),
        container("a", "c1", 1, exited(3)),
        container("i", "i0", 0, exited(0)),
    ];
    let adopted = adopted(&pod, Some(&sandbox(true)), runs);
    let a = &adopted.state.containers["a"];
    assert!(a.running() && a.ready && a.started);
    assert_eq!((a.restart_count, a.next_attempt), (2, 3));
    assert_eq!(a.last.as_ref().unwrap().exit_code, 3);
    assert_eq!(adopted.dead["a"], [("c0".to_owned(), 0), ("c1".to_owned(), 1)]);
    assert_eq!(adopted.state.containers["i"].exited().unwrap().exit_code, 0);
    assert_eq!(
        adopted.state.sandbox,
        Sandbox::Ready {
            ips: vec!["10.42.0.3".parse().unwrap()]
        }
    );
}

#[test]
fn an_end_nobody_saw_is_reported_with_its_code() {
    let pod = pod("Never", told("c0", json!({"running": {}}), 0, true));
    let adopted = adopted(
        &pod,
        Some(&sandbox(true)),
        vec![container("a", "c0", 0, exited(7))],
    );
    let end = adopted.state.containers["a"].exited().unwrap().clone();
    assert_eq!(
        (end.exit_code, end.reason.as_str(), end.message.as_deref()),
        (7, "Error", Some("said"))
    );
}

#[test]
fn after_a_reboot_everything_starts_again_and_counts_on() {
    let pod = pod("Always", told("c4", json!({"running": {}}), 4, true));
    let adopted = adopted(
        &pod,
        Some(&sandbox(false)),
        vec![container("a", "c4", 4, Phase::Unknown)],
    );
    let a = &adopted.state.containers["a"];
    assert!(a.current.is_none() && adopted.stale_sandbox);
    assert_eq!(a.last.as_ref().unwrap().reason, "ContainerStatusUnknown");
    assert_eq!((a.restart_count, a.next_attempt), (4, 5));
    assert_eq!(adopted.state.sandbox, Sandbox::Absent);
}

#[test]
fn a_debugger_that_has_ended_is_not_started_again_after_a_reboot() {
    let mut pod = pod("Always", json!([]));
    let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed", "containerID": "keelson://d0"}});
    let mut told = told("d0", ended, 0, false);
    told[0]["name"] = "debug".into();
    let status = pod.status.as_mut().unwrap();
    status.ephemeral_container_statuses = serde_json::from_value(told).unwrap();
    let debugger = json!([{"name": "debug", "image": "img"}]);
    pod.spec.as_mut().unwrap().ephemeral_containers = serde_json::from_value(debugger).unwrap();
    for known in [vec![], vec![container("debug", "d0", 0, exited(0))]] {
        let adopted = adopted(&pod, Some(&sandbox(false)), known);
        let record = &adopted.state.containers["debug"];
        assert_eq!(record.exited().unwrap().exit_code, 0);
    }
}

#[test]
fn a_job_that_has_ended_is_not_run_again_though_the_runtime_forgot_it() {
    let state = json!({"terminated": {"exitCode": 0, "reason": "Completed", "containerID": "keelson://c0"}});
    let pod = pod("OnFailure", told("c0", state, 1, false));
    let adopted = adopted(&pod, None, vec![]);
    let a = &adopted.state.containers["a"];
    assert_eq!(a.exited().unwrap().exit_code, 0);
    assert_eq!(a.restart_count, 1);
}

#[test]
fn half_made_containers_and_sandboxes_are_not_adopted() {
    let pod = pod("Always", json!([]));
    let mut unconnected = sandbox(true);
    unconnected.ips.clear();
    let adopted = adopted(
        &pod,
        Some(&unconnected),
        vec![container("a", "c0", 0, Phase::Created)],
    );
    assert_eq!(adopted.discard, ["c0"]);
    assert!(adopted.state.containers.is_empty());
    assert_eq!(adopted.state.sandbox, Sandbox::Absent);
}

#[test]
fn a_final_phase_in_the_api_stays() {
    let mut pod = pod("Always", json!([]));
    pod.status.as_mut().unwrap().phase = Some("Failed".into());
    assert!(adopted(&pod, None, vec![]).state.api_terminal);
}
