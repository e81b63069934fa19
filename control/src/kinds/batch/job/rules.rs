//! What the spec of a job must be (`validateJobSpec`, `ValidateJobSpecUpdate`).

mod failure;
pub(super) mod success;

use keelson_api::names::{self, IMMUTABLE};
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::apps::workload::non_negative;
use crate::kinds::go;
use crate::kinds::json::{int, is_true, items, text};
use crate::kinds::podspec;

/// Most pods of an indexed job at once.
const MOST_PARALLEL: i64 = 100_000;
/// Most indexes that may fail.
const MOST_FAILED: i64 = 100_000;
/// With more completions than these a job with a limit by index may have fewer pods at once, and fewer that fail.
const MANY: i64 = 100_000;
const MOST_OF_MANY: i64 = 10_000;
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
    failure::check(errors, spec, path);
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
    if let Some(manager) = spec.get("managedBy").and_then(Value::as_str) {
        let path = format!("{path}.managedBy");
        manager_name(errors, manager, &path);
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

/// The name of who manages a job: a domain and a path (`IsDomainPrefixedPath`).
fn manager_name(errors: &mut Vec<FieldError>, manager: &str, path: &str) {
    if manager.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let parts = manager.split_once('/');
    let Some((host, rest)) = parts.filter(|(host, rest)| !host.is_empty() && !rest.is_empty()) else {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(path, manager, detail));
        return;
    };
    errors.extend(FieldError::complaints(path, host, names::dns1123_subdomain(host)));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !rest.bytes().all(allowed) {
        let detail = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(path, rest, detail));
    }
}

/// Pods of an indexed job are called after it and their index, the highest of which is the longest.
pub(super) fn host_names(errors: &mut Vec<FieldError>, job: &Value) {
    let completions = int(job, "/spec/completions").unwrap_or(0);
    if text(job, "/spec/completionMode") != "Indexed" || completions <= 0 {
        return;
    }
    let name = text(job, "/metadata/name");
    let longest = format!("{name}-{}", completions - 1);
    if !names::dns1123_label(&longest).is_empty() {
        let detail = format!("will not able to create pod with invalid DNS label: {longest}");
        errors.push(FieldError::invalid("metadata.name", name, &detail));
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
    if mode == "Indexed" {
        many(errors, spec, path);
    }
    if failed.is_some() && number("backoffLimitPerIndex").is_none() {
        let detail = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(
            format!("{path}.backoffLimitPerIndex"),
            detail,
        ));
    }
}

/// How many indexes of an indexed job may fail. With very many of them, few may be told one by one in the status.
fn many(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let number = |field: &str| int(spec, &format!("/{field}"));
    let (completions, failed) = (number("completions"), number("maxFailedIndexes"));
    let mut complain = |field: &str, number: i64, detail: &str| {
        errors.push(FieldError::invalid(format!("{path}.{field}"), number, detail));
    };
    if let (Some(completions), Some(failed)) = (completions, failed)
        && failed > completions
    {
        complain(
            "maxFailedIndexes",
            failed,
            "must be less than or equal to completions",
        );
    }
    if let Some(failed) = failed.filter(|failed| *failed > MOST_FAILED) {
        let detail = format!("must be less than or equal to {MOST_FAILED}");
        complain("maxFailedIndexes", failed, &detail);
    }
    if completions.is_none_or(|completions| completions <= MANY) || number("backoffLimitPerIndex").is_none() {
        return;
    }
    for field in ["parallelism", "maxFailedIndexes"] {
        if let Some(number) = number(field).filter(|number| *number > MOST_OF_MANY) {
            let detail = format!(
                "must be less than or equal to {MOST_OF_MANY} when completions are above {MANY} and used with backoff limit \
                 per index"
            );
            complain(field, number, &detail);
        }
    }
    if failed.is_none() {
        let detail = format!("must be specified when completions is above {MANY}");
        errors.push(FieldError::required(format!("{path}.maxFailedIndexes"), &detail));
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
        // Indexed jobs may grow and shrink as a whole. Without a number something else complains.
        let indexed = text(new, "/spec/completionMode") == "Indexed";
        let tandem = is.as_ref().is_none_or(Value::is_null) || is == at(new, "parallelism");
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
