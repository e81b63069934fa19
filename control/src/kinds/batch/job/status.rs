//! What may be told of a job through its status (`ValidateJobStatusUpdate`; KEP 4368): whoever runs a job keeps to it. Most
//! rules look at what a write changes, so that a status that somebody else got wrong can still be written.

use std::collections::HashSet;

use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::Value;

use super::condition;
use super::rules::success::{how_many, overlap};
use crate::kinds::apps::workload::non_negative;
use crate::kinds::json::{alike, int, is_true, is_unset, items, text};

/// Complaints about a new status.
pub(super) fn change(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        non_negative(&mut errors, new, &format!("status.{field}"));
    }
    uncounted(&mut errors, new);
    conditions(&mut errors, old, new);
    times(&mut errors, old, new);
    ended(&mut errors, old, new);
    indexes(&mut errors, old, new);
    counts(&mut errors, old, new);
    errors
}

fn changed(old: &Value, new: &Value, field: &str) -> bool {
    !alike(old["status"].get(field), new["status"].get(field))
}

fn count(job: &Value, field: &str) -> i64 {
    int(&job["status"][field], "").unwrap_or(0)
}

fn is_finished(job: &Value) -> bool {
    condition(job, "Complete") || condition(job, "Failed")
}

/// Whether one of the conditions is true now and was not, or the other way round.
fn turned(old: &Value, new: &Value, kinds: &[&str]) -> bool {
    kinds
        .iter()
        .any(|kind| condition(old, kind) != condition(new, kind))
}

/// UIDs of pods, each once.
fn uncounted(errors: &mut Vec<FieldError>, job: &Value) {
    let mut seen = HashSet::new();
    for list in ["succeeded", "failed"] {
        let uids = items(job, &format!("/status/uncountedTerminatedPods/{list}"));
        for (index, uid) in uids.iter().enumerate() {
            let uid = uid.as_str().unwrap_or_default();
            let path = format!("status.uncountedTerminatedPods.{list}[{index}]");
            if uid.is_empty() {
                errors.push(FieldError::invalid(path, uid, "must not be empty"));
            } else if !seen.insert(uid) {
                errors.push(FieldError::duplicate(path, uid));
            }
        }
    }
}

/// A job ends in one way, which is announced before, and stays so.
fn conditions(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let is = |kind: &str| condition(new, kind);
    let mut complain = |detail: &str| errors.push(FieldError::invalid_omitted("status.conditions", detail));
    let turned = |kinds: &[&str]| turned(old, new, kinds);
    if is("Complete") && is("Failed") && turned(&["Complete", "Failed"]) {
        complain("cannot set Complete=True and Failed=true conditions");
    }
    if is("Complete") && is("FailureTarget") && turned(&["Complete", "FailureTarget"]) {
        complain("cannot set Complete=True and FailureTarget=true conditions");
    }
    if is("Failed") && !is("FailureTarget") && turned(&["Failed", "FailureTarget"]) {
        complain("cannot set Failed=True condition without the FailureTarget=true condition");
    }
    let met = is("SuccessCriteriaMet");
    if is("Complete") && !met && turned(&["Complete", "SuccessCriteriaMet"]) {
        complain("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
    }
    for other in ["Failed", "FailureTarget"] {
        if met && is(other) {
            complain(&format!(
                "cannot set SuccessCriteriaMet=True and {other}=true conditions"
            ));
        }
    }
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if condition(old, kind) && !is(kind) {
            complain(&format!("cannot disable the terminal {kind}=True condition"));
        }
    }
    let was_met = condition(old, "SuccessCriteriaMet");
    if was_met && !met {
        complain("cannot disable the SuccessCriteriaMet=True condition");
    }
    if condition(old, "Complete") && !was_met && met {
        complain("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
    }
}

fn times(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let of = |job: &Value, field: &str| text(&job["status"][field], "").to_owned();
    let (start, end) = (of(new, "startTime"), of(new, "completionTime"));
    let (had_start, had_end) = (of(old, "startTime"), of(old, "completionTime"));
    let (complete, path) = (condition(new, "Complete"), "status.completionTime");
    if turned(old, new, &["Complete"]) || end != had_end {
        if !end.is_empty() && !complete {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            errors.push(FieldError::invalid(path, end.as_str(), detail));
        }
        if end.is_empty() && complete {
            let detail = "completionTime is required for Complete jobs";
            errors.push(FieldError::required(path, detail));
        }
    }
    if (start != had_start || end != had_end)
        && let (Some(start), Some(at)) = (time::parse(&start), time::parse(&end))
        && at < start
    {
        let detail = "completionTime cannot be set before startTime";
        errors.push(FieldError::invalid(path, end.as_str(), detail));
    }
    if !end.is_empty() && !had_end.is_empty() && end != had_end {
        errors.push(FieldError::invalid(path, end, "completionTime cannot be mutated"));
    }
    if !had_start.is_empty() && start != had_start && !is_true(new, "/spec/suspend") {
        let detail = "startTime cannot be removed for unsuspended job";
        errors.push(FieldError::required("status.startTime", detail));
    }
}

/// Of a job that has ended nothing is left.
fn ended(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    if !is_finished(new) {
        return;
    }
    let ends = !is_finished(old);
    let changed = |field: &str| ends || changed(old, new, field);
    for field in ["active", "terminating"] {
        let left = count(new, field);
        if changed(field) && left > 0 {
            let detail = format!("{field}>0 is invalid for finished job");
            errors.push(FieldError::invalid(format!("status.{field}"), left, &detail));
        }
    }
    // A job of nothing ends although it never starts.
    let of_nothing = is_true(new, "/spec/suspend") && int(new, "/spec/completions") == Some(0);
    if changed("startTime") && is_unset(new["status"].get("startTime")) && !of_nothing {
        let detail = "startTime is required for finished job";
        errors.push(FieldError::required("status.startTime", detail));
    }
    let pods = &new["status"]["uncountedTerminatedPods"];
    let some = ["succeeded", "failed"]
        .iter()
        .any(|list| !is_unset(pods.get(*list)));
    if changed("uncountedTerminatedPods") && some {
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        errors.push(FieldError::invalid(
            "status.uncountedTerminatedPods",
            pods.clone(),
            detail,
        ));
    }
}

/// Lists of indexes, of which none is both completed and failed.
fn indexes(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let of = |field: &str| new["status"].get(field).and_then(Value::as_str);
    let (done, failed) = (of("completedIndexes").unwrap_or_default(), of("failedIndexes"));
    let (done_changed, failed_changed) = (
        changed(old, new, "completedIndexes"),
        changed(old, new, "failedIndexes"),
    );
    let completions = int(new, "/spec/completions");
    let by_index = int(new, "/spec/backoffLimitPerIndex").is_some();
    let mut check = |field: &str, list: &str| {
        if let Some(Err(error)) = completions.map(|completions| how_many(list, completions)) {
            let detail = format!("error parsing {field}: {error}");
            errors.push(FieldError::invalid(format!("status.{field}"), list, &detail));
        }
    };
    if done_changed {
        check("completedIndexes", done);
    }
    if let Some(failed) = failed.filter(|_| failed_changed && by_index) {
        check("failedIndexes", failed);
    }
    if done_changed && !done.is_empty() && text(new, "/spec/completionMode") != "Indexed" {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.push(FieldError::invalid("status.completedIndexes", done, detail));
    }
    let Some(failed) = failed else { return };
    if failed_changed && !by_index {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        errors.push(FieldError::invalid("status.failedIndexes", failed, detail));
    }
    if (failed_changed || done_changed)
        && let Some(index) = completions.and_then(|completions| overlap(done, failed, completions))
    {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        errors.push(FieldError::invalid("status.failedIndexes", failed, &detail));
    }
}

/// What has ended has ended, and what is ready is active.
fn counts(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let ready = count(new, "ready");
    if (changed(old, new, "ready") || changed(old, new, "active")) && ready > count(new, "active") {
        let detail = "cannot set more ready pods than active";
        errors.push(FieldError::invalid("status.ready", ready, detail));
    }
    // An indexed job that grows and shrinks as a whole loses what it has counted of the indexes that go.
    let spec = &new["spec"];
    let elastic = text(spec, "/completionMode") == "Indexed" && spec["completions"] == spec["parallelism"];
    for (field, counts) in [("failed", true), ("succeeded", !elastic)] {
        let is = count(new, field);
        if counts && is < count(old, field) {
            let detail = format!("cannot decrease the {field} counter");
            errors.push(FieldError::invalid(format!("status.{field}"), is, &detail));
        }
    }
}
