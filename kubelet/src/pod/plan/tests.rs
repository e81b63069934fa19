#![allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::pod::state::*;

mod recovery;

pub(crate) fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}))
        .unwrap()
}

fn now() -> Now {
    Now {
        mono: Instant::now(),
        wall: Timestamp::from_second(1_000_000).unwrap(),
    }
}

fn later(now: Now, seconds: u64) -> Now {
    Now {
        mono: now.mono + Duration::from_secs(seconds),
        wall: now
            .wall
            .checked_add(SignedDuration::from_secs(seconds as i64))
            .unwrap(),
    }
}

fn ended(code: i32, at: Now) -> Terminated {
    Terminated {
        id: "old".into(),
        exit_code: code,
        signal: None,
        reason: "Error".into(),
        message: None,
        started_at: None,
        finished_at: at.wall,
    }
}

fn record(phase: InstancePhase) -> ContainerRecord {
    let current = Instance {
        id: "i".into(),
        image: "img".into(),
        image_id: String::new(),
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

fn running(now: Now) -> ContainerRecord {
    record(InstancePhase::Running { started_at: now.wall })
}

fn exited(code: i32, at: Now) -> ContainerRecord {
    ContainerRecord {
        image: ImagePhase::Ready,
        ..record(InstancePhase::Exited(ended(code, at)))
    }
}

fn ready(containers: &[(&str, ContainerRecord)]) -> PodState {
    PodState {
        sandbox: Sandbox::Ready { ips: vec![] },
        volumes: Volumes::Ready,
        containers: containers
            .iter()
            .map(|(name, r)| ((*name).to_owned(), r.clone()))
            .collect(),
        ..PodState::default()
    }
}

fn with_image() -> ContainerRecord {
    ContainerRecord {
        image: ImagePhase::Ready,
        ..ContainerRecord::default()
    }
}

fn one() -> Value {
    json!({"containers": [{"name": "a", "image": "img"}]})
}

fn started(plan: &Plan) -> Vec<&str> {
    let names = plan.actions.iter().filter_map(|a| match a {
        Action::StartContainer { container, .. } => Some(container.as_str()),
        _ => None,
    });
    names.collect()
}

fn stopped(plan: &Plan) -> Vec<&str> {
    let names = plan.actions.iter().filter_map(|a| match a {
        Action::StopContainer { container, .. } => Some(container.as_str()),
        _ => None,
    });
    names.collect()
}

#[test]
fn a_new_pod_begins_everything_at_once() {
    let plan = plan(&pod(one()), &PodState::default(), now());
    assert_eq!(
        plan.actions,
        [
            Action::CreateSandbox,
            Action::MountVolumes,
            Action::ResolveImage {
                container: "a".into()
            }
        ]
    );
}

#[test]
fn a_container_waits_for_sandbox_volumes_and_image() {
    let mut state = ready(&[("a", with_image())]);
    assert_eq!(started(&plan(&pod(one()), &state, now())), ["a"]);
    state.volumes = Volumes::Mounting;
    assert_eq!(plan(&pod(one()), &state, now()).actions, []);
    state.volumes = Volumes::Ready;
    state.sandbox = Sandbox::Creating;
    assert_eq!(plan(&pod(one()), &state, now()).actions, []);
}

#[test]
fn failed_steps_are_tried_again_in_time() {
    let now = now();
    let mut state = ready(&[]);
    state.sandbox = Sandbox::Failed {
        retry_at: now.mono + Duration::from_secs(5),
    };
    let early = plan(&pod(one()), &state, now);
    assert!(!early.actions.contains(&Action::CreateSandbox));
    assert_eq!(early.wake, Some(now.mono + Duration::from_secs(5)));
    assert!(
        plan(&pod(one()), &state, later(now, 5))
            .actions
            .contains(&Action::CreateSandbox)
    );
}

#[test]
fn init_containers_run_one_after_the_other() {
    let spec = json!({"initContainers": [{"name": "i1", "image": "img"}, {"name": "i2", "image": "img"}],
        "containers": [{"name": "a", "image": "img"}]});
    let now = now();
    let all =
        |i1: ContainerRecord, i2: ContainerRecord| ready(&[("i1", i1), ("i2", i2), ("a", with_image())]);
    assert_eq!(
        started(&plan(&pod(spec.clone()), &all(with_image(), with_image()), now)),
        ["i1"]
    );
    assert!(started(&plan(&pod(spec.clone()), &all(running(now), with_image()), now)).is_empty());
    assert_eq!(
        started(&plan(&pod(spec.clone()), &all(exited(0, now), with_image()), now)),
        ["i2"]
    );
    assert_eq!(
        started(&plan(
            &pod(spec.clone()),
            &all(exited(0, now), exited(0, now)),
            now
        )),
        ["a"]
    );
    let failed = all(exited(1, now), with_image());
    assert_eq!(
        started(&plan(&pod(spec.clone()), &failed, now)),
        ["i1"],
        "a failed step runs again"
    );
    let mut never = spec;
    never["restartPolicy"] = json!("Never");
    assert_eq!(
        outcome(pod(never.clone()).spec.as_ref().unwrap(), &failed),
        Some(Outcome::Failed)
    );
    assert!(started(&plan(&pod(never), &failed, now)).is_empty());
}

#[test]
fn sidecars_start_in_order_and_are_restarted_beside_the_main_containers() {
    let spec = json!({"initContainers": [{"name": "s", "image": "img", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "img"}]});
    let now = now();
    assert_eq!(
        started(&plan(
            &pod(spec.clone()),
            &ready(&[("s", with_image()), ("a", with_image())]),
            now
        )),
        ["s"]
    );
    let not_yet = ContainerRecord {
        started: false,
        ..running(now)
    };
    assert!(
        started(&plan(
            &pod(spec.clone()),
            &ready(&[("s", not_yet), ("a", with_image())]),
            now
        ))
        .is_empty()
    );
    assert_eq!(
        started(&plan(
            &pod(spec.clone()),
            &ready(&[("s", running(now)), ("a", with_image())]),
            now
        )),
        ["a"]
    );
    assert_eq!(
        started(&plan(
            &pod(spec),
            &ready(&[("s", exited(1, now)), ("a", running(now))]),
            now
        )),
        ["s"]
    );
}

#[test]
fn restart_policies() {
    for (policy, code, restarted) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 1, false),
    ] {
        let mut spec = one();
        spec["restartPolicy"] = json!(policy);
        let plan = plan(&pod(spec), &ready(&[("a", exited(code, now()))]), now());
        assert_eq!(started(&plan) == ["a"], restarted, "{policy} {code}");
    }
}

#[test]
fn crash_loops_back_off() {
    let now = now();
    let mut crashed = exited(1, now);
    crashed.backoff.advance(now.wall, now.wall);
    let state = ready(&[("a", crashed)]);
    let waiting = plan(&pod(one()), &state, later(now, 3));
    assert!(started(&waiting).is_empty());
    assert_eq!(
        waiting.waiting,
        [(
            "a".to_owned(),
            Waiting::new(
                "CrashLoopBackOff",
                "back-off 10s restarting failed container=a pod=p_ns(u)"
            )
        )]
    );
    assert_eq!(waiting.wake, Some(later(now, 10).mono));
    assert_eq!(started(&plan(&pod(one()), &state, later(now, 10))), ["a"]);
}

#[test]
fn durations_as_go_prints_them() {
    let text = |seconds| up::go_duration(Duration::from_secs(seconds));
    assert_eq!(
        [text(10), text(80), text(300), text(3600)],
        ["10s", "1m20s", "5m0s", "1h0m0s"]
    );
}

#[test]
fn a_failed_probe_stops_the_container_with_its_own_grace() {
    let mut failing = running(now());
    failing.kill = Some(Kill {
        message: "m".into(),
        grace_seconds: Some(3),
    });
    let plan = plan(&pod(one()), &ready(&[("a", failing)]), now());
    let expected = Action::StopContainer {
        container: "a".into(),
        grace: Duration::from_secs(3),
        message: "m".into(),
    };
    assert_eq!(plan.actions, [expected]);
}

#[test]
fn a_changed_image_restarts_the_container() {
    let other = json!({"containers": [{"name": "a", "image": "other"}]});
    assert_eq!(
        stopped(&plan(&pod(other), &ready(&[("a", running(now()))]), now())),
        ["a"]
    );
}

fn deleted(mut spec: Value, grace: i64) -> Pod {
    spec["terminationGracePeriodSeconds"] = json!(grace);
    let mut pod = pod(spec);
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        Timestamp::from_second(1).unwrap(),
    ));
    pod
}

#[test]
fn deletion_stops_main_containers_then_sidecars_in_reverse() {
    let spec = json!({"initContainers": [
            {"name": "s1", "image": "img", "restartPolicy": "Always"}, {"name": "s2", "image": "img", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": "img"}, {"name": "b", "image": "img"}]});
    let now = now();
    let pod = deleted(spec, 30);
    let up = || running(now);
    let stop = |a: ContainerRecord, b: ContainerRecord, s2: ContainerRecord| {
        let state = ready(&[("s1", up()), ("s2", s2), ("a", a), ("b", b)]);
        stopped(&plan(&pod, &state, now))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(stop(up(), up(), up()), ["a", "b"]);
    assert_eq!(stop(exited(0, now), up(), up()), ["b"]);
    assert_eq!(stop(exited(0, now), exited(1, now), up()), ["s2"]);
    assert_eq!(stop(exited(0, now), exited(1, now), exited(0, now)), ["s1"]);
}

#[test]
fn the_end_is_reported_before_anything_is_removed() {
    let now = now();
    let pod = deleted(one(), 30);
    let mut state = ready(&[("a", exited(0, now))]);
    assert_eq!(plan(&pod, &state, now).actions, []);
    state.status_settled = true;
    assert_eq!(plan(&pod, &state, now).actions, [Action::Teardown]);
    state.teardown = Step::Running;
    assert_eq!(plan(&pod, &state, now).actions, []);
    state.teardown = Step::Done;
    assert_eq!(plan(&pod, &state, now).actions, [Action::DeletePod]);
    state.deletion = Step::Done;
    assert_eq!(plan(&pod, &state, now).actions, []);
    state.gone = true;
    assert_eq!(plan(&pod, &state, now).actions, [Action::Finish]);
}

#[test]
fn a_pod_the_api_forgot_needs_no_status() {
    let state = PodState {
        gone: true,
        ..ready(&[("a", exited(0, now()))])
    };
    assert_eq!(plan(&pod(one()), &state, now()).actions, [Action::Teardown]);
}

#[test]
fn a_start_under_way_is_awaited_and_then_stopped() {
    let now = now();
    let pod = deleted(one(), 30);
    let starting = ContainerRecord {
        starting: true,
        ..with_image()
    };
    let state = PodState {
        status_settled: true,
        ..ready(&[("a", starting)])
    };
    assert_eq!(plan(&pod, &state, now).actions, []);
}

#[test]
fn active_deadline() {
    let mut spec = one();
    spec["activeDeadlineSeconds"] = json!(60);
    let now = now();
    let state = PodState {
        start_time: Some(now.wall),
        ..ready(&[("a", running(now))])
    };
    let early = plan(&pod(spec.clone()), &state, later(now, 59));
    assert!(early.actions.is_empty());
    assert!(early.wake.is_some());
    let late = plan(&pod(spec), &state, later(now, 60));
    assert!(matches!(&late.actions[..], [Action::Fail(failure)] if failure.reason == "DeadlineExceeded"));
}

#[test]
fn a_finished_pod_is_taken_down_but_not_deleted() {
    let mut spec = one();
    spec["restartPolicy"] = json!("Never");
    let mut state = PodState {
        status_settled: true,
        ..ready(&[("a", exited(0, now()))])
    };
    assert_eq!(
        plan(&pod(spec.clone()), &state, now()).actions,
        [Action::Teardown]
    );
    state.teardown = Step::Done;
    assert_eq!(plan(&pod(spec), &state, now()).actions, []);
}

#[test]
fn ephemeral_containers_run_once() {
    let mut spec = one();
    spec["ephemeralContainers"] = json!([{"name": "e", "image": "img"}]);
    let now = now();
    let with = |e: ContainerRecord| ready(&[("a", running(now)), ("e", e)]);
    assert_eq!(
        started(&plan(&pod(spec.clone()), &with(with_image()), now)),
        ["e"]
    );
    assert!(started(&plan(&pod(spec.clone()), &with(exited(1, now)), now)).is_empty());
    assert_eq!(
        outcome(pod(spec).spec.as_ref().unwrap(), &with(exited(1, now))),
        None
    );
}

fn any_record() -> impl Strategy<Value = ContainerRecord> {
    (0..5, any::<bool>(), any::<bool>(), -1..2).prop_map(|(kind, starting, stop, code)| {
        let now = now();
        let mut record = match kind {
            0 => ContainerRecord::default(),
            1 => with_image(),
            2 => running(now),
            _ => exited(code, now),
        };
        record.starting = starting && !record.running();
        if stop && record.running() {
            record.stopping = Some(Stopping {
                deadline: now.mono,
                kill: Step::Pending,
            });
        }
        record
    })
}

proptest! {
    /// Whatever is observed: nothing is started twice, nothing that stops is started, nothing is removed while it runs.
    #[test]
    fn invariants(
        a in any_record(), b in any_record(), i in any_record(), s in any_record(),
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        delete in any::<bool>(), gone in any::<bool>(), settled in any::<bool>(),
    ) {
        let spec = json!({"restartPolicy": policy,
            "initContainers": [{"name": "i", "image": "img"}, {"name": "s", "image": "img", "restartPolicy": "Always"}],
            "containers": [{"name": "a", "image": "img"}, {"name": "b", "image": "img"}]});
        let pod = if delete { deleted(spec, 30) } else { pod(spec) };
        let state = PodState { gone, status_settled: settled, ..ready(&[("a", a), ("b", b), ("i", i), ("s", s)]) };
        let plan = plan(&pod, &state, now());
        let alive = state.containers.values().any(|r| r.running() || r.starting);
        for action in &plan.actions {
            match action {
                Action::StartContainer { container, .. } => {
                    let record = &state.containers[container];
                    prop_assert!(!record.running() && !record.starting && !delete && !gone);
                }
                Action::StopContainer { container, .. } => {
                    prop_assert!(state.containers[container].running());
                    prop_assert!(state.containers[container].stopping.is_none());
                }
                Action::Teardown | Action::DeletePod | Action::Finish => prop_assert!(!alive),
                _ => {}
            }
        }
        let mut names = started(&plan);
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), started(&plan).len());
    }
}
