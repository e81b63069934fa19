//! SIGKILL, and what failed or was lost: it is made good.

use super::*;

#[test]
fn sigkill_at_the_deadline_or_when_a_later_deletion_asks_for_less() {
    let now = now();
    let pod = deleted(one(), 30);
    let mut stopping = running(now);
    stopping.stopping = Some(Stopping {
        deadline: now.mono + Duration::from_secs(30),
        kill: Step::Pending,
    });
    let mut state = ready(&[("a", stopping)]);
    assert_eq!(plan(&pod, &state, now).actions, []);
    assert_eq!(
        plan(&pod, &state, now).wake,
        Some(now.mono + Duration::from_secs(30))
    );
    let kill = Action::ForceKill {
        container: "a".into(),
    };
    assert_eq!(
        plan(&pod, &state, later(now, 30)).actions,
        std::slice::from_ref(&kill)
    );
    state.stop_deadline = Some(now.mono + Duration::from_secs(1));
    assert_eq!(plan(&pod, &state, later(now, 1)).actions, [kill]);
}

#[test]
fn a_sigkill_that_failed_is_repeated_in_time() {
    let now = now();
    let pod = deleted(one(), 1);
    let after = |kill: Step, then: Now| {
        let mut stopping = running(now);
        stopping.stopping = Some(Stopping {
            deadline: now.mono,
            kill,
        });
        let state = PodState {
            stop_deadline: Some(now.mono),
            ..ready(&[("a", stopping)])
        };
        plan(&pod, &state, then)
    };
    assert_eq!(after(Step::Running, later(now, 60)).actions, []);
    let retry_at = later(now, 2).mono;
    let early = after(Step::Failed { retry_at }, later(now, 1));
    assert_eq!((early.actions, early.wake), (vec![], Some(retry_at)));
    let kill = Action::ForceKill {
        container: "a".into(),
    };
    assert_eq!(after(Step::Failed { retry_at }, later(now, 2)).actions, [kill]);
}

#[test]
fn a_lost_sandbox_is_made_anew_when_all_ends_are_known() {
    let spec = json!({"initContainers": [{"name": "i", "image": "img"}],
        "containers": [{"name": "a", "image": "img"}, {"name": "b", "image": "img"}]});
    let now = now();
    let lost = |b: ContainerRecord| PodState {
        sandbox: Sandbox::Absent,
        ..ready(&[("i", exited(0, now)), ("a", exited(137, now)), ("b", b)])
    };
    let starting = ContainerRecord {
        starting: true,
        ..with_image()
    };
    let makes = |state: &PodState| {
        let plan = plan(&pod(spec.clone()), state, now);
        plan.actions.contains(&Action::CreateSandbox)
    };
    assert_eq!(
        [running(now), starting, exited(137, now)].map(|b| makes(&lost(b))),
        [false, false, true]
    );
    let state = lost(exited(0, now));
    for (policy, expected) in [("Always", &["i", "a", "b"][..]), ("OnFailure", &["i", "a"])] {
        let mut spec = spec.clone();
        spec["restartPolicy"] = json!(policy);
        assert_eq!(
            start_over(pod(spec).spec.as_ref().unwrap(), &state),
            expected,
            "{policy}"
        );
    }
}

#[test]
fn what_ran_in_a_lost_sandbox_backs_off_as_before() {
    let now = now();
    let mut before = with_image();
    before.last = Some(ended(137, now));
    let first = plan(&pod(one()), &ready(&[("a", before.clone())]), now);
    let expected = Action::StartContainer {
        container: "a".into(),
        restart: true,
    };
    assert_eq!(first.actions, [expected]);
    before.backoff.advance(now.wall, now.wall);
    let second = plan(&pod(one()), &ready(&[("a", before)]), later(now, 3));
    assert_eq!(started(&second), [""; 0]);
    assert_eq!(second.waiting[0].1.reason, "CrashLoopBackOff");
}
