//! What becomes of a job when its pods fail (`validatePodFailurePolicy`).

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::json::{int, items, text};

const MOST_RULES: usize = 20;
/// Most conditions of a rule.
const MOST_CONDITIONS: usize = 20;
const MOST_CODES: usize = 255;

/// Complaints about `podFailurePolicy` of a job's spec at `path`.
pub(super) fn check(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let path = format!("{path}.podFailurePolicy.rules");
    let rules = items(spec, "/podFailurePolicy/rules");
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(path.as_str(), rules.len(), MOST_RULES));
    }
    let known: HashSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| items(spec, &format!("/template/spec/{list}")))
        .map(|container| text(container, "/name"))
        .collect();
    for (index, rule) in rules.iter().take(MOST_RULES).enumerate() {
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
            exit_codes(errors, &known, codes, &format!("{path}.onExitCodes"));
        }
        let path = format!("{path}.onPodConditions");
        if conditions.len() > MOST_CONDITIONS {
            errors.push(FieldError::too_many(
                path.as_str(),
                conditions.len(),
                MOST_CONDITIONS,
            ));
        }
        for (at, condition) in conditions.iter().enumerate() {
            pod_condition(errors, condition, &format!("{path}[{at}]"));
        }
    }
}

fn pod_condition(errors: &mut Vec<FieldError>, condition: &Value, path: &str) {
    const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
    let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
    let complaints = names::qualified_name(kind);
    errors.extend(FieldError::complaints(format!("{path}.type"), kind, complaints));
    let path = format!("{path}.status");
    if status.is_empty() {
        let detail = "valid values: [\"False\" \"True\" \"Unknown\"]";
        errors.push(FieldError::required(path, detail));
    } else if !STATUSES.contains(&status) {
        errors.push(FieldError::not_supported(path, status, &STATUSES));
    }
}

/// `known`: the names of the containers.
fn exit_codes(errors: &mut Vec<FieldError>, known: &HashSet<&str>, codes: &Value, path: &str) {
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
    let name = codes.get("containerName").and_then(Value::as_str);
    if let Some(name) = name.filter(|name| !known.contains(name)) {
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
