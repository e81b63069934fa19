use std::sync::Arc;

use serde_json::{Value, json};

use super::plan::{Plan, count, plan};
use super::pod;
use crate::controllers::model::{Condition, Job, Pod, Time};

mod orphans;

const NOW: Time = Time(1_704_070_800);

fn job(edit: impl FnOnce(&mut Value)) -> Job {
    let mut value = json!({
        "metadata": {"name": "j", "namespace": "default", "uid": "job"},
        "spec": {"parallelism": 2, "completions": 3, "backoffLimit": 1, "completionMode": "NonIndexed",
            "selector": {"matchLabels": {"job": "j"}},
            "template": {"metadata": {"labels": {"job": "j"}}, "spec": {"containers": [{"name": "a"}]}}},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn member(uid: &str, phase: &str, edit: impl FnOnce(&mut Value)) -> Arc<Pod> {
    let mut value = json!({"metadata": {"name": uid, "uid": uid, "finalizers": [pod::TRACKING],
        "creationTimestamp": "2024-01-01T00:00:00Z"}, "status": {"phase": phase}});
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn has(plan: &Plan, kind: &str) -> bool {
    Condition::is_true(&plan.status.conditions, kind)
}

#[test]
fn runs_to_completion() {
    let first = plan(&job(|_| {}), &[], NOW);
    assert_eq!((first.create.len(), first.status.start_time), (2, Some(NOW)));
    let pods = [member("a", "Succeeded", |_| {}), member("b", "Running", |_| {})];
    let second = plan(&job(|_| {}), &pods, NOW);
    assert_eq!(
        (second.create.len(), second.release.len(), second.status.active),
        (1, 1, 1)
    );
    assert_eq!(
        second
            .status
            .uncounted_terminated_pods
            .as_ref()
            .unwrap()
            .succeeded,
        ["a"]
    );
    let counted = count(second.status);
    assert_eq!(
        (
            counted.succeeded,
            counted.uncounted_terminated_pods.unwrap().succeeded.len()
        ),
        (1, 0)
    );
    let almost = job(|j| j["status"] = json!({"succeeded": 2, "startTime": "2024-01-01T00:00:00Z"}));
    let last = plan(&almost, &[member("c", "Succeeded", |_| {})], NOW);
    assert!(has(&last, "Complete") && has(&last, "SuccessCriteriaMet") && last.create.is_empty());
    assert_eq!(last.events[0].2, "Job completed");
}

#[test]
fn failures_back_off_and_end_it() {
    let failed = |uid: &str, ago: i64| {
        member(uid, "Failed", |p| {
            p["status"]["containerStatuses"] = json!([{"name": "a", "state": {"terminated": {"exitCode": 1, "finishedAt": Time(NOW.0 - ago)}}}]);
        })
    };
    let once = plan(&job(|_| {}), &[failed("a", 3)], NOW);
    assert_eq!((once.create.len(), once.again), (0, Some(7)));
    assert_eq!(plan(&job(|_| {}), &[failed("a", 11)], NOW).create.len(), 2);
    let twice = [failed("a", 30), failed("b", 20), member("c", "Running", |_| {})];
    let stopping = plan(&job(|_| {}), &twice, NOW);
    assert!(
        has(&stopping, "FailureTarget") && !has(&stopping, "Failed"),
        "not before the last pod is gone"
    );
    assert_eq!(stopping.delete.len(), 1);
    let stopped = plan(&job(|_| {}), &twice[..2], NOW);
    assert!(has(&stopped, "Failed"));
    assert_eq!(stopped.events[0].1, "BackoffLimitExceeded");
}

#[test]
fn deadline_suspension_and_work_queues() {
    let late = job(|j| {
        j["spec"]["activeDeadlineSeconds"] = json!(60);
        j["status"] = json!({"startTime": Time(NOW.0 - 61)});
    });
    assert_eq!(plan(&late, &[], NOW).events[0].1, "DeadlineExceeded");
    let suspended = job(|j| j["spec"]["suspend"] = json!(true));
    let held = plan(&suspended, &[member("a", "Running", |_| {})], NOW);
    assert!(has(&held, "Suspended") && held.delete.len() == 1 && held.create.is_empty());
    let queue = job(|j| j["spec"]["completions"] = Value::Null);
    let draining = plan(
        &queue,
        &[member("a", "Succeeded", |_| {}), member("b", "Running", |_| {})],
        NOW,
    );
    assert!(draining.create.is_empty() && draining.delete.is_empty() && !has(&draining, "Complete"));
    assert!(has(
        &plan(&queue, &[member("a", "Succeeded", |_| {})], NOW),
        "Complete"
    ));
}

#[test]
fn indexed_jobs_fill_the_gaps() {
    let indexed = job(|j| {
        j["spec"]["completionMode"] = json!("Indexed");
        j["spec"]["completions"] = json!(5);
        j["spec"]["parallelism"] = json!(3);
        j["status"] = json!({"succeeded": 1, "completedIndexes": "0", "startTime": "2024-01-01T00:00:00Z"});
    });
    let at =
        |index: &'static str| move |p: &mut Value| p["metadata"]["annotations"] = json!({pod::INDEX: index});
    let pods = [member("a", "Running", at("2")), member("b", "Succeeded", at("3"))];
    let plan = plan(&indexed, &pods, NOW);
    assert_eq!(plan.create, [Some(1), Some(4)]);
    assert_eq!(plan.status.completed_indexes, "0,3");
    let body = pod::pod(&indexed, Some(4));
    assert_eq!(body["metadata"]["labels"][pod::INDEX], "4");
    assert_eq!(
        body["spec"]["containers"][0]["env"][0]["name"],
        "JOB_COMPLETION_INDEX"
    );
    assert_eq!(body["spec"]["hostname"], "j-4");
}

/// At once, these are 34 GB of a plan, and two thousand million requests.
#[test]
fn very_many_pods_are_made_in_bursts() {
    let wide = |mode: &'static str| {
        job(move |j| {
            j["spec"]["completionMode"] = json!(mode);
            j["spec"]["completions"] = json!(i32::MAX);
            j["spec"]["parallelism"] = json!(i32::MAX);
            j["status"]["completedIndexes"] = json!("0-2147483000");
        })
    };
    assert_eq!(plan(&wide("NonIndexed"), &[], NOW).create, [None; 500]);
    let last = plan(&wide("Indexed"), &[], NOW).create;
    assert_eq!(
        (last.len(), last[0], last[499]),
        (500, Some(2_147_483_001), Some(2_147_483_500))
    );
}

/// Its end was counted when it was deleted, and it ended well afterwards.
#[test]
fn a_pod_counts_once() {
    let counted = job(|j| j["status"] = json!({"uncountedTerminatedPods": {"failed": ["a"]}}));
    let pods = [member("a", "Succeeded", |_| {})];
    let uncounted = plan(&counted, &pods, NOW)
        .status
        .uncounted_terminated_pods
        .unwrap();
    assert_eq!((uncounted.succeeded.len(), uncounted.failed.len()), (0, 1));
}

#[test]
fn a_job_that_has_met_its_criteria_fails_no_more() {
    let met = job(|j| {
        j["spec"]["activeDeadlineSeconds"] = json!(1);
        j["status"] = json!({"succeeded": 3, "startTime": "2024-01-01T00:00:00Z",
            "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]});
    });
    let late = plan(&met, &[member("a", "Running", |_| {})], NOW);
    assert!(!has(&late, "FailureTarget") && late.delete.len() == 1);
    assert!(has(&plan(&met, &[], NOW), "Complete"));
}

#[test]
fn what_has_ended_has_started() {
    let suspended = job(|j| {
        j["spec"]["suspend"] = json!(true);
        j["status"] = json!({"succeeded": 3, "conditions": [{"type": "Suspended", "status": "True"}]});
    });
    let ended = plan(&suspended, &[], NOW);
    assert!(has(&ended, "Complete"));
    assert_eq!(ended.status.start_time, Some(NOW));
}
