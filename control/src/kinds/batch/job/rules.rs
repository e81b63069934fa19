//! What the spec of a job must be (`validateJobSpec`, `ValidateJobSpecUpdate`).

mod success;

use std::collections::HashSet;

use keelson_api::names::IMMUTABLE;
use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::apps::workload::non_negative;
use crate::kinds::go;
use crate::kinds::json::{int, is_true, items, text};
use crate::kinds::podspec;

/// Most pods of an indexed job at once.
const MOST_PARALLEL: i64 = 100_000;
const MOST_RULES: usize = 20;
const MOST_CODES: usize = 255;
/// Longest name of who manages a job.
const LONGEST_MANAGER: usize = 63;

/// Checks the spec of a job, or of a CronJob's template, at `path` (below which `object` has it).
pub(in crate::kinds::batch) fn spec(errors: &mut Vec<FieldError>, object: &Value, path: &str) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        non_negative(errors, object, &format!("{path}.{field}"));
    }
    let spec = object
        .pointer(&format!("/{}", path.replace('.', "/")))
        .unwrap_or(&Value::Null);
    completion(errors, spec, path);
    failure_policy(errors, spec, path);
    let policed = spec.get("podFailurePolicy").is_some_and(Value::is_object);
    let replacement = text(spec, "/podReplacementPolicy");
    let allowed: &[&str] = if policed {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    if !replacement.is_empty() && !allowed.contains(&replacement) {
        let path = format!("{path}.podReplacementPolicy");
        errors.push(FieldError::not_supported(path, replacement, allowed));
    }
    let manager = text(spec, "/managedBy");
    if !manager.is_empty() {
        let path = format!("{path}.managedBy");
        if !manager.contains('/') {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.push(FieldError::invalid(path.as_str(), manager, detail));
        }
        if manager.len() > LONGEST_MANAGER {
            errors.push(FieldError::too_long(path, LONGEST_MANAGER));
        }
    }
    let template = spec.get("template").unwrap_or(&Value::Null);
    errors.extend(podspec::validate_template(template, &format!("{path}.template")));
    let at = format!("{path}.template.spec.restartPolicy");
    match text(template, "/spec/restartPolicy") {
        "" | "Always" => {
            let detail = "valid values: \"OnFailure\", \"Never\"";
            errors.push(FieldError::required(at, detail));
        }
        "OnFailure" if policed => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(FieldError::invalid(at, "OnFailure", detail));
        }
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(at, other, &["OnFailure", "Never"])),
    }
}

fn completion(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let mode = text(spec, "/completionMode");
    if !matches!(mode, "" | "NonIndexed" | "Indexed") {
        let path = format!("{path}.completionMode");
        errors.push(FieldError::not_supported(path, mode, &["NonIndexed", "Indexed"]));
    }
    let number = |field: &str| int(spec, &format!("/{field}"));
    let (completions, failed) = (number("completions"), number("maxFailedIndexes"));
    if mode == "Indexed" {
        if completions.is_none() {
            let detail = "when completion mode is Indexed";
            errors.push(FieldError::required(format!("{path}.completions"), detail));
        }
        if let Some(parallel) = number("parallelism").filter(|number| *number > MOST_PARALLEL) {
            let detail =
                format!("must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed");
            errors.push(FieldError::invalid(
                format!("{path}.parallelism"),
                parallel,
                &detail,
            ));
        }
        success::check(errors, spec, path);
    } else {
        let detail = "requires indexed completion mode";
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(number) = number(field) {
                errors.push(FieldError::invalid(format!("{path}.{field}"), number, detail));
            }
        }
        if let Some(policy) = spec.get("successPolicy").filter(|policy| policy.is_object()) {
            errors.push(FieldError::invalid(
                format!("{path}.successPolicy"),
                policy.clone(),
                detail,
            ));
        }
    }
    let Some(failed) = failed else { return };
    if number("backoffLimitPerIndex").is_none() {
        let detail = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(
            format!("{path}.backoffLimitPerIndex"),
            detail,
        ));
    }
    if completions.is_some_and(|completions| failed > completions) {
        let detail = "must be less than or equal to completions";
        errors.push(FieldError::invalid(
            format!("{path}.maxFailedIndexes"),
            failed,
            detail,
        ));
    }
}

fn failure_policy(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let path = format!("{path}.podFailurePolicy.rules");
    let rules = items(spec, "/podFailurePolicy/rules");
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(path.as_str(), rules.len(), MOST_RULES));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match text(rule, "/action") {
            "" => {
                let quoted: Vec<String> = ACTIONS.iter().map(|action| go_quote(action)).collect();
                let detail = format!("valid values: [{}]", quoted.join(" "));
                errors.push(FieldError::required(format!("{path}.action"), &detail));
            }
            "FailIndex" if int(spec, "/backoffLimitPerIndex").is_none() => {
                let detail = "requires the backoffLimitPerIndex to be set";
                errors.push(FieldError::invalid(format!("{path}.action"), "FailIndex", detail));
            }
            action if !ACTIONS.contains(&action) => {
                let path = format!("{path}.action");
                errors.push(FieldError::not_supported(path, action, &ACTIONS));
            }
            _ => {}
        }
        let codes = rule.get("onExitCodes").filter(|codes| codes.is_object());
        let conditions = items(rule, "/onPodConditions");
        match (codes, conditions.is_empty()) {
            (Some(_), false) => {
                let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
                errors.push(FieldError::invalid_omitted(path.as_str(), detail));
            }
            (None, true) => {
                let detail = "specifying one of OnExitCodes and OnPodConditions is required";
                errors.push(FieldError::invalid_omitted(path.as_str(), detail));
            }
            _ => {}
        }
        if let Some(codes) = codes {
            exit_codes(errors, spec, codes, &format!("{path}.onExitCodes"));
        }
        for (at, condition) in conditions.iter().enumerate() {
            let status = text(condition, "/status");
            if !matches!(status, "True" | "False" | "Unknown") {
                let path = format!("{path}.onPodConditions[{at}].status");
                errors.push(FieldError::not_supported(
                    path,
                    status,
                    &["False", "True", "Unknown"],
                ));
            }
        }
    }
}

fn exit_codes(errors: &mut Vec<FieldError>, spec: &Value, codes: &Value, path: &str) {
    let operator = text(codes, "/operator");
    match operator {
        "" => {
            let detail = "valid values: [\"In\" \"NotIn\"]";
            errors.push(FieldError::required(format!("{path}.operator"), detail));
        }
        "In" | "NotIn" => {}
        other => {
            let path = format!("{path}.operator");
            errors.push(FieldError::not_supported(path, other, &["In", "NotIn"]));
        }
    }
    let name = text(codes, "/containerName");
    let known = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| items(spec, &format!("/template/spec/{list}")))
        .any(|container| text(container, "/name") == name);
    if !name.is_empty() && !known {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(format!("{path}.containerName"), name, detail));
    }
    let values: Vec<i64> = items(codes, "/values").iter().filter_map(Value::as_i64).collect();
    let at = format!("{path}.values");
    if values.is_empty() {
        errors.push(FieldError::invalid(
            at.as_str(),
            values.clone(),
            "at least one value is required",
        ));
    } else if values.len() > MOST_CODES {
        errors.push(FieldError::too_many(at.as_str(), values.len(), MOST_CODES));
    }
    let mut seen = HashSet::new();
    for (index, value) in values.iter().enumerate() {
        if *value == 0 && operator == "In" {
            let detail = "must not be 0 for the In operator";
            errors.push(FieldError::invalid(format!("{at}[{index}]"), 0, detail));
        }
        if !seen.insert(*value) {
            errors.push(FieldError::duplicate(format!("{at}[{index}]"), *value));
        }
    }
    if !values.is_sorted() {
        errors.push(FieldError::invalid(at, values, "must be ordered"));
    }
}

/// What is wrong with the selector that the server made, or with labels that got in its way.
pub(super) fn generated(errors: &mut Vec<FieldError>, job: &Value, labels: &[(&str, &str)]) {
    let template = job
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    let selector = job.pointer("/spec/selector/matchLabels").unwrap_or(&Value::Null);
    let mut wrong = false;
    for (label, source) in labels {
        let wanted = text(job, &format!("/metadata/{source}"));
        let path = format!("spec.template.metadata.labels[{label}]");
        let detail = format!("must be '{wanted}'");
        match template.get(*label).and_then(Value::as_str) {
            None => errors.push(FieldError::required(path, &detail)),
            Some(found) if found != wanted => {
                errors.push(FieldError::invalid(path, template.clone(), &detail));
            }
            Some(_) => {}
        }
        wrong |= selector
            .get(*label)
            .and_then(Value::as_str)
            .is_some_and(|found| found != wanted);
    }
    let foreign = selector.as_object().is_some_and(|all| {
        all.keys()
            .any(|key| !labels.iter().any(|(label, _)| label == key))
    });
    if wrong || foreign || !items(job, "/spec/selector/matchExpressions").is_empty() {
        let shown = job.pointer("/spec/selector").cloned().unwrap_or_default();
        errors.push(FieldError::invalid(
            "spec.selector",
            shown,
            "`selector` not auto-generated",
        ));
    }
}

/// What may not change, or not so.
pub(super) fn change(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let at = |object: &Value, field: &str| object.pointer("/spec").and_then(|spec| spec.get(field)).cloned();
    let (was, is) = (at(old, "completions"), at(new, "completions"));
    if was != is {
        // Indexed jobs may grow and shrink as a whole.
        let indexed = text(new, "/spec/completionMode") == "Indexed";
        let tandem = was == at(old, "parallelism") && is == at(new, "parallelism");
        let detail = if indexed {
            "can only be modified in tandem with spec.parallelism"
        } else {
            IMMUTABLE
        };
        if !(indexed && tandem) {
            errors.push(FieldError::invalid(
                "spec.completions",
                is.unwrap_or_default(),
                detail,
            ));
        }
    }
    let suspended = is_true(old, "/spec/suspend") && text(old, "/status/startTime").is_empty();
    if template(old, suspended) != template(new, suspended) {
        let shown = at(new, "template").unwrap_or_default();
        errors.push(FieldError::invalid("spec.template", shown, IMMUTABLE));
    }
    for field in [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        let is = at(new, field);
        if at(old, field) != is {
            let path = format!("spec.{field}");
            let is = is.unwrap_or_default();
            errors.push(match field {
                "selector" => FieldError::invalid_shown(path, &go::label_selector(&is), IMMUTABLE),
                _ => FieldError::invalid(path, is, IMMUTABLE),
            });
        }
    }
}

/// The template; of a job that has not started without what may still send its pods to other nodes.
fn template(job: &Value, suspended: bool) -> Value {
    let mut template = job.pointer("/spec/template").cloned().unwrap_or_default();
    if !suspended {
        return template;
    }
    for (pointer, fields) in [
        ("/metadata", &["labels", "annotations"][..]),
        ("/spec", &["nodeSelector", "tolerations", "schedulingGates"]),
        ("/spec/affinity", &["nodeAffinity"]),
    ] {
        if let Some(map) = template.pointer_mut(pointer).and_then(Value::as_object_mut) {
            for field in fields {
                map.remove(*field);
            }
        }
    }
    // An affinity that says nothing is none.
    if let Some(spec) = template.pointer_mut("/spec").and_then(Value::as_object_mut)
        && spec
            .get("affinity")
            .is_some_and(|one| one.as_object().is_some_and(serde_json::Map::is_empty))
    {
        spec.remove("affinity");
    }
    template
}
