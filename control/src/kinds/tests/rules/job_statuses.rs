//! What may be told of a job (KEP 4368).

use super::*;

/// Complaints about a status after another, of a job that is indexed with three completions and a limit by index.
fn told(spec: &Value, old: &Value, new: &Value) -> Vec<String> {
    let kind = find("batch", "v1", "jobs").unwrap();
    let mut all = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2, "backoffLimitPerIndex": 1,
        "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    let with = |status: &Value| {
        let mut job = json!({"metadata": {"name": "j"}, "spec": all, "status": status});
        crate::kinds::default(kind, &mut job);
        job
    };
    let errors = kind
        .strategy
        .validate_update(Some("status"), &with(old), &with(new));
    errors.iter().map(ToString::to_string).collect()
}

fn conditions(kinds: &[&str]) -> Value {
    let conditions = kinds.iter().map(|kind| json!({"type": kind, "status": "True"}));
    conditions.collect::<Vec<_>>().into()
}

const START: &str = "2024-01-01T00:00:00Z";
const END: &str = "2024-01-01T00:01:00Z";

fn complete() -> Value {
    json!({"startTime": START, "completionTime": END, "succeeded": 3, "completedIndexes": "0-2",
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"])})
}

fn failed() -> Value {
    json!({"startTime": START, "failed": 1, "failedIndexes": "0", "conditions": conditions(&["FailureTarget", "Failed"])})
}

fn with(mut status: Value, fields: &Value) -> Value {
    for (field, value) in fields.as_object().unwrap() {
        status[field] = value.clone();
    }
    status
}

#[test]
fn jobs_go_on_and_end() {
    let none = json!({});
    let running = json!({"startTime": START, "active": 2, "ready": 1, "completedIndexes": "0", "succeeded": 1,
        "uncountedTerminatedPods": {"succeeded": ["a"]}});
    for (old, new) in [
        (&none, &running),
        (&running, &complete()),
        (&json!({"startTime": START}), &failed()),
        (&complete(), &complete()),
        // What was wrong before may be written again.
        (
            &with(complete(), &json!({"active": 1})),
            &with(complete(), &json!({"active": 1, "failed": 1})),
        ),
    ] {
        assert_eq!(told(&json!({}), old, new), [""; 0], "{new}");
    }
    let of_nothing = json!({"completions": 0, "parallelism": 0, "suspend": true});
    let mut ended = complete();
    for field in ["startTime", "completedIndexes", "succeeded"] {
        ended.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(told(&of_nothing, &none, &ended), [""; 0]);
}

#[test]
fn ends_that_are_none() {
    let path = "status.conditions: Invalid value";
    let running = json!({"startTime": START});
    for (old, new, expected) in [
        (
            running.clone(),
            with(complete(), &json!({"conditions": conditions(&["Complete"])})),
            format!("{path}: cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
        ),
        (
            running.clone(),
            with(failed(), &json!({"conditions": conditions(&["Failed"])})),
            format!("{path}: cannot set Failed=True condition without the FailureTarget=true condition"),
        ),
        (
            running.clone(),
            with(running.clone(), &json!({"conditions": conditions(&["SuccessCriteriaMet", "FailureTarget"])})),
            format!("{path}: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
        ),
        (
            failed(),
            with(failed(), &json!({"conditions": conditions(&["FailureTarget"])})),
            format!("{path}: cannot disable the terminal Failed=True condition"),
        ),
        (
            running.clone(),
            with(complete(), &json!({"completionTime": null})),
            "status.completionTime: Required value: completionTime is required for Complete jobs".to_owned(),
        ),
        (
            running.clone(),
            with(running.clone(), &json!({"completionTime": END})),
            format!(
                "status.completionTime: Invalid value: \"{END}\": cannot set completionTime when there is no Complete=True \
                 condition"
            ),
        ),
        (
            complete(),
            with(complete(), &json!({"completionTime": "2024-01-01T00:02:00Z"})),
            "status.completionTime: Invalid value: \"2024-01-01T00:02:00Z\": completionTime cannot be mutated".to_owned(),
        ),
        (
            json!({}),
            with(complete(), &json!({"startTime": "2024-01-01T00:02:00Z"})),
            format!("status.completionTime: Invalid value: \"{END}\": completionTime cannot be set before startTime"),
        ),
        (
            json!({}),
            with(failed(), &json!({"startTime": null})),
            "status.startTime: Required value: startTime is required for finished job".to_owned(),
        ),
        (
            running.clone(),
            json!({}),
            "status.startTime: Required value: startTime cannot be removed for unsuspended job".to_owned(),
        ),
        (
            running.clone(),
            with(complete(), &json!({"active": 1})),
            "status.active: Invalid value: 1: active>0 is invalid for finished job".to_owned(),
        ),
        (
            running.clone(),
            with(failed(), &json!({"terminating": 1})),
            "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job".to_owned(),
        ),
        (
            running,
            with(failed(), &json!({"uncountedTerminatedPods": {"failed": ["a"]}})),
            "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: uncountedTerminatedPods needs to be empty for \
             finished job"
                .to_owned(),
        ),
    ] {
        assert_eq!(told(&json!({}), &old, &new), [expected]);
    }
}

#[test]
fn counts_and_indexes() {
    let uncounted = json!({"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}});
    let plain = json!({"completionMode": "NonIndexed", "backoffLimitPerIndex": null});
    let elastic = json!({"parallelism": 3});
    let none = json!({});
    for (spec, old, new, expected) in [
        (
            &none,
            json!({}),
            uncounted,
            &[
                "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
            ][..],
        ),
        (
            &none,
            json!({}),
            json!({"completedIndexes": "2,1"}),
            &[
                "status.completedIndexes: Invalid value: \"2,1\": error parsing completedIndexes: non-increasing order, previous: 2, \
               current: 1",
            ][..],
        ),
        (
            &none,
            json!({}),
            json!({"completedIndexes": "0-1", "failedIndexes": "1,3"}),
            &[
                "status.failedIndexes: Invalid value: \"1,3\": error parsing failedIndexes: too large index: \"3\"",
                "status.failedIndexes: Invalid value: \"1,3\": failedIndexes and completedIndexes overlap at index: 1",
            ][..],
        ),
        (
            &plain,
            json!({}),
            json!({"completedIndexes": "1", "failedIndexes": "2"}),
            &[
                "status.completedIndexes: Invalid value: \"1\": cannot set non-empty completedIndexes when non-indexed completion \
                 mode",
                "status.failedIndexes: Invalid value: \"2\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            ][..],
        ),
        (
            &none,
            json!({"failed": 2, "succeeded": 2}),
            json!({"failed": 1, "succeeded": 1, "ready": 1}),
            &[
                "status.ready: Invalid value: 1: cannot set more ready pods than active",
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
            ][..],
        ),
        (
            &elastic,
            json!({"succeeded": 2}),
            json!({"succeeded": 1}),
            &[][..],
        ),
    ] {
        assert_eq!(told(spec, &old, &new), expected, "{new}");
    }
}
