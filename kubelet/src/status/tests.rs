#![allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole

use std::time::Instant;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{build, patch};
use crate::pod::state::*;

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}))
        .unwrap()
}

fn one(policy: &str) -> Pod {
    pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "img"}]}))
}

fn at(second: i64) -> Now {
    Now {
        mono: Instant::now(),
        wall: Timestamp::from_second(1_000_000 + second).unwrap(),
    }
}

fn running() -> ContainerRecord {
    record(InstancePhase::Running {
        started_at: at(0).wall,
    })
}

fn record(phase: InstancePhase) -> ContainerRecord {
    let current = Instance {
        id: "i1".into(),
        image: "img".into(),
        image_id: "sha256:1".into(),
        user: None,
        phase,
    };
    ContainerRecord {
        current: Some(current),
        started: true,
        ready: true,
        ..ContainerRecord::default()
    }
}

fn exited(code: i32) -> ContainerRecord {
    record(InstancePhase::Exited(Terminated {
        id: "i1".into(),
        exit_code: code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.into(),
        message: None,
        started_at: None,
        finished_at: at(0).wall,
    }))
}

fn state(containers: &[(&str, ContainerRecord)]) -> PodState {
    PodState {
        sandbox: Sandbox::Ready {
            ips: vec!["10.42.0.9".parse().unwrap()],
        },
        start_time: Some(at(0).wall),
        containers: containers
            .iter()
            .map(|(name, r)| ((*name).to_owned(), r.clone()))
            .collect(),
        ..PodState::default()
    }
}

fn of(pod: &Pod, state: &PodState) -> PodStatus {
    build(pod, None, state, &["192.168.0.1".parse().unwrap()], at(1))
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
    status
        .conditions
        .as_ref()
        .unwrap()
        .iter()
        .find(|c| c.type_ == type_)
        .unwrap()
}

fn phase(status: &PodStatus) -> &str {
    status.phase.as_deref().unwrap()
}

#[test]
fn a_pod_being_made() {
    let status = of(
        &one("Always"),
        &PodState {
            start_time: Some(at(0).wall),
            ..PodState::default()
        },
    );
    assert_eq!(phase(&status), "Pending");
    let container = &status.container_statuses.as_ref().unwrap()[0];
    let waiting = container.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("ContainerCreating"));
    assert_eq!(container.image, "img");
    assert_eq!(condition(&status, "PodReadyToStartContainers").status, "False");
    assert_eq!(condition(&status, "Initialized").status, "True");
    let ready = condition(&status, "Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_deref()),
        ("False", Some("ContainersNotReady"))
    );
    assert_eq!(
        ready.message.as_deref(),
        Some("containers with unready status: [a]")
    );
    assert_eq!(status.host_ip.as_deref(), Some("192.168.0.1"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
}

#[test]
fn a_running_pod() {
    let status = of(&one("Always"), &state(&[("a", running())]));
    assert_eq!(phase(&status), "Running");
    assert!(
        [
            "Ready",
            "ContainersReady",
            "Initialized",
            "PodReadyToStartContainers",
            "PodScheduled"
        ]
        .iter()
        .all(|t| condition(&status, t).status == "True")
    );
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(container.container_id.as_deref(), Some("keelson://i1"));
    assert_eq!((container.ready, container.started), (true, Some(true)));
    assert_eq!(status.pod_ips.as_ref().unwrap()[0].ip, "10.42.0.9");
}

#[test]
fn readiness_and_startup_hold_ready_back() {
    for (ready, started) in [(false, true), (true, false)] {
        let status = of(
            &one("Always"),
            &state(&[(
                "a",
                ContainerRecord {
                    ready,
                    started,
                    ..running()
                },
            )]),
        );
        assert_eq!(phase(&status), "Running");
        assert!(!status.container_statuses.as_ref().unwrap()[0].ready);
        assert_eq!(condition(&status, "ContainersReady").status, "False");
    }
}

#[test]
fn readiness_gates() {
    let mut gated = pod(
        json!({"readinessGates": [{"conditionType": "x/y"}], "containers": [{"name": "a", "image": "img"}]}),
    );
    let status = of(&gated, &state(&[("a", running())]));
    assert_eq!(condition(&status, "ContainersReady").status, "True");
    let ready = condition(&status, "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ReadinessGatesNotReady"));
    assert_eq!(
        ready.message.as_deref(),
        Some("corresponding condition of pod readiness gate \"x/y\" does not exist.")
    );
    gated.status =
        serde_json::from_value(json!({"conditions": [{"type": "x/y", "status": "True"}]})).unwrap();
    assert_eq!(
        condition(&of(&gated, &state(&[("a", running())])), "Ready").status,
        "True"
    );
}

#[test]
fn ends() {
    for (policy, code, expected) in [
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Always", 0, "Running"),
        ("Always", 1, "Running"),
    ] {
        assert_eq!(
            phase(&of(&one(policy), &state(&[("a", exited(code))]))),
            expected,
            "{policy} {code}"
        );
    }
    let done = of(&one("Never"), &state(&[("a", exited(0))]));
    assert_eq!(condition(&done, "Ready").reason.as_deref(), Some("PodCompleted"));
    assert_eq!(
        condition(&done, "Initialized").reason.as_deref(),
        Some("PodCompleted")
    );
    assert_eq!(done.pod_ip.as_deref(), Some("10.42.0.9"));
    let failed = of(&one("Never"), &state(&[("a", exited(3))]));
    assert_eq!(
        condition(&failed, "ContainersReady").reason.as_deref(),
        Some("PodFailed")
    );
}

#[test]
fn crash_loop_shows_the_end_as_last_state() {
    let crashed = ContainerRecord {
        waiting: Some(Waiting::new("CrashLoopBackOff", "back-off 10s")),
        restart_count: 2,
        ..exited(1)
    };
    let status = of(&one("Always"), &state(&[("a", crashed)]));
    assert_eq!(phase(&status), "Running");
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(
        container
            .state
            .as_ref()
            .unwrap()
            .waiting
            .as_ref()
            .unwrap()
            .reason
            .as_deref(),
        Some("CrashLoopBackOff")
    );
    assert_eq!(
        container
            .last_state
            .as_ref()
            .unwrap()
            .terminated
            .as_ref()
            .unwrap()
            .exit_code,
        1
    );
    assert_eq!(container.restart_count, 2);
}

#[test]
fn init_containers_hold_the_pod_pending() {
    let init = pod(
        json!({"initContainers": [{"name": "i", "image": "img"}], "containers": [{"name": "a", "image": "img"}]}),
    );
    let status = of(&init, &state(&[("i", running())]));
    assert_eq!(phase(&status), "Pending");
    let initialized = condition(&status, "Initialized");
    assert_eq!(
        initialized.message.as_deref(),
        Some("containers with incomplete status: [i]")
    );
    let main = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(
        main.state
            .as_ref()
            .unwrap()
            .waiting
            .as_ref()
            .unwrap()
            .reason
            .as_deref(),
        Some("PodInitializing")
    );
    let done = of(&init, &state(&[("i", exited(0)), ("a", running())]));
    assert_eq!(phase(&done), "Running");
    assert!(done.init_container_statuses.as_ref().unwrap()[0].ready);
    assert_eq!(condition(&done, "Initialized").status, "True");
}

#[test]
fn a_deleted_pod_that_was_killed_has_failed() {
    let mut deleted = one("Always");
    deleted.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0).wall));
    assert_eq!(
        phase(&of(&deleted, &state(&[("a", running())]))),
        "Running",
        "until it has ended"
    );
    assert_eq!(phase(&of(&deleted, &state(&[("a", exited(137))]))), "Failed");
    assert_eq!(phase(&of(&deleted, &state(&[("a", exited(0))]))), "Succeeded");
    assert_eq!(
        phase(&of(
            &deleted,
            &PodState {
                start_time: Some(at(0).wall),
                ..PodState::default()
            }
        )),
        "Failed"
    );
}

#[test]
fn what_cannot_be_found_at_the_end_is_unknown() {
    let mut deleted =
        pod(json!({"containers": [{"name": "a", "image": "img"}, {"name": "b", "image": "img"}]}));
    deleted.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0).wall));
    let status = of(&deleted, &state(&[("a", exited(0))]));
    let b = &status.container_statuses.as_ref().unwrap()[1];
    let end = b.state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(
        (end.exit_code, end.reason.as_deref()),
        (137, Some("ContainerStatusUnknown"))
    );
}

#[test]
fn a_refused_pod() {
    let failure = Failure {
        reason: "OutOfcpu".into(),
        message: "m".into(),
    };
    let status = of(
        &one("Always"),
        &PodState {
            failure: Some(failure),
            ..PodState::default()
        },
    );
    assert_eq!(
        (phase(&status), status.reason.as_deref()),
        ("Failed", Some("OutOfcpu"))
    );
    assert!(status.container_statuses.is_none());
}

#[test]
fn a_final_phase_is_final() {
    let before = PodStatus {
        phase: Some("Failed".into()),
        ..PodStatus::default()
    };
    let status = build(
        &one("Always"),
        Some(&before),
        &state(&[("a", running())]),
        &[],
        at(2),
    );
    assert_eq!(phase(&status), "Failed");
}

#[test]
fn transition_times_move_only_with_the_status() {
    let pod = one("Always");
    let first = of(&pod, &state(&[("a", running())]));
    let unready = ContainerRecord {
        ready: false,
        ..running()
    };
    let second = build(
        &pod,
        Some(&first),
        &state(&[("a", unready)]),
        &["192.168.0.1".parse().unwrap()],
        at(9),
    );
    let time = |s: &PodStatus, t: &str| condition(s, t).last_transition_time.clone().unwrap().0;
    assert_eq!(time(&second, "Initialized"), at(1).wall);
    assert_eq!(time(&second, "Ready"), at(9).wall);
}

#[test]
fn patches_name_what_has_gone() {
    let old: PodStatus = serde_json::from_value(
        json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}], "message": "m",
        "conditions": [{"type": "Ready", "status": "False", "reason": "R"}]}),
    )
    .unwrap();
    let new: PodStatus = serde_json::from_value(
        json!({"phase": "Running", "podIP": "2.2.2.2", "podIPs": [{"ip": "2.2.2.2"}],
        "conditions": [{"type": "Ready", "status": "True"}]}),
    )
    .unwrap();
    let patch = patch("u", &new, Some(&old));
    assert_eq!(patch["metadata"]["uid"], "u");
    assert_eq!(patch["status"]["message"], Value::Null);
    assert!(patch["status"].as_object().unwrap().contains_key("message"));
    assert_eq!(
        patch["status"]["podIPs"],
        json!([{"ip": "2.2.2.2"}, {"$patch": "replace"}])
    );
    assert!(
        patch["status"]["conditions"][0]
            .as_object()
            .unwrap()
            .contains_key("reason")
    );
}
