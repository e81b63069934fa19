//! What webhook configurations must be (`pkg/apis/admissionregistration/validation`).

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::apps::workload::label_selector;
use crate::kinds::extension::webhook::{client, versions};
use crate::kinds::go;
use crate::kinds::json::{int, items, text};

/// Shortest and longest time that a webhook has, in seconds.
const TIMEOUT: std::ops::RangeInclusive<i64> = 1..=30;
/// Most conditions of a webhook.
const MOST_CONDITIONS: usize = 64;

/// Complaints about all webhooks of a configuration.
pub(super) fn check(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, webhook) in items(object, "/webhooks").iter().enumerate() {
        let path = format!("webhooks[{index}]");
        let name = text(webhook, "/name");
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        webhook_name(&mut errors, name, &format!("{path}.name"));
        for (at, rule) in items(webhook, "/rules").iter().enumerate() {
            operations(&mut errors, rule, &format!("{path}.rules[{at}]"));
        }
        choices(&mut errors, webhook, &path);
        if let Some(seconds) = int(webhook, "/timeoutSeconds").filter(|seconds| !TIMEOUT.contains(seconds)) {
            let detail = "the timeout value must be between 1 and 30 seconds";
            errors.push(FieldError::invalid(
                format!("{path}.timeoutSeconds"),
                seconds,
                detail,
            ));
        }
        for field in ["namespaceSelector", "objectSelector"] {
            if let Some(selector) = webhook.get(field) {
                label_selector(&mut errors, selector, &format!("{path}.{field}"));
            }
        }
        client(&mut errors, webhook, &format!("{path}.clientConfig"));
        versions(
            &mut errors,
            items(webhook, "/admissionReviewVersions"),
            &format!("{path}.admissionReviewVersions"),
            "must specify one of v1, v1beta1",
        );
        match_conditions(&mut errors, webhook, &path);
    }
    errors
}

/// Complaints about the conditions of a webhook or of a policy at a path, but for their expressions
/// (`validateMatchConditions`).
pub(super) fn match_conditions(errors: &mut Vec<FieldError>, of: &Value, path: &str) {
    let (conditions, path) = (items(of, "/matchConditions"), format!("{path}.matchConditions"));
    if conditions.len() > MOST_CONDITIONS {
        let (count, path) = (conditions.len(), path.as_str());
        errors.push(FieldError::too_many(path, count, MOST_CONDITIONS));
    }
    let mut seen = HashSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let path = format!("{path}[{index}]");
        if text(condition, "/expression").trim().is_empty() {
            errors.push(FieldError::required(format!("{path}.expression"), ""));
        }
        let (name, path) = (text(condition, "/name"), format!("{path}.name"));
        if name.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        errors.extend(FieldError::complaints(&path, name, names::qualified_name(name)));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(path, name));
        }
    }
}

fn webhook_name(errors: &mut Vec<FieldError>, name: &str, path: &str) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let complaints = names::dns1123_subdomain(name);
    if !complaints.is_empty() {
        errors.push(FieldError::invalid(path, name, &complaints.join(",")));
    } else if name.split('.').count() < 3 {
        let detail = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(path, name, detail));
    }
}

fn choices(errors: &mut Vec<FieldError>, webhook: &Value, path: &str) {
    const EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
    let choices: [(&str, &[&str]); 3] = [
        ("failurePolicy", &["Fail", "Ignore"]),
        ("matchPolicy", &["Equivalent", "Exact"]),
        ("reinvocationPolicy", &["IfNeeded", "Never"]),
    ];
    for (field, allowed) in choices {
        let value = webhook.get(field).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            errors.push(FieldError::not_supported(
                format!("{path}.{field}"),
                value,
                allowed,
            ));
        }
    }
    let path = format!("{path}.sideEffects");
    match text(webhook, "/sideEffects") {
        "" => {
            let detail = "must specify one of None, NoneOnDryRun";
            errors.push(FieldError::required(path, detail));
        }
        value if !EFFECTS.contains(&value) => {
            errors.push(FieldError::not_supported(path, value, &EFFECTS));
        }
        _ => {}
    }
}

/// Complaints about a rule with its operations.
pub(super) fn operations(errors: &mut Vec<FieldError>, rule: &Value, path: &str) {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
    let texts = |field: &str| -> Vec<&str> {
        items(rule, &format!("/{field}"))
            .iter()
            .map(|one| one.as_str().unwrap_or_default())
            .collect()
    };
    for (field, what) in [
        ("operations", "operations"),
        ("apiGroups", "API groups"),
        ("apiVersions", "API versions"),
    ] {
        let (values, path) = (texts(field), format!("{path}.{field}"));
        if values.is_empty() {
            errors.push(FieldError::required(path.as_str(), ""));
        }
        if values.len() > 1 && values.contains(&"*") {
            let detail = format!("if '*' is present, must not specify other {what}");
            let of = match field {
                "operations" => "admissionregistration.OperationType",
                _ => "string",
            };
            let shown = go::texts_of(of, &values);
            errors.push(FieldError::invalid_shown(path.as_str(), &shown, &detail));
        }
        for (at, value) in values.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if field == "operations" && !OPERATIONS.contains(value) {
                errors.push(FieldError::not_supported(path, *value, &OPERATIONS));
            } else if field == "apiVersions" && value.is_empty() {
                errors.push(FieldError::required(path, ""));
            }
        }
    }
    resources(errors, &texts("resources"), &format!("{path}.resources"));
    let scope = rule.get("scope").and_then(Value::as_str);
    if let Some(scope) = scope.filter(|scope| !SCOPES.contains(scope)) {
        errors.push(FieldError::not_supported(format!("{path}.scope"), scope, &SCOPES));
    }
}

/// `validateResources`: what is said twice in a rule. Upstream looks at the list in its order, and so at what came before.
fn resources(errors: &mut Vec<FieldError>, resources: &[&str], path: &str) {
    if resources.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let (mut all_of, mut everywhere) = (Vec::new(), Vec::new());
    let mut ends_plain = false;
    for (at, one) in resources.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if one.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let Some((resource, part)) = one.split_once('/') else {
            ends_plain = *one != "*";
            continue;
        };
        if all_of.contains(&resource) {
            let detail = format!("if '{resource}/*' is present, must not specify {one}");
            errors.push(FieldError::invalid(path.as_str(), *one, &detail));
        }
        if everywhere.contains(&part) {
            let detail = format!("if '*/{part}' is present, must not specify {one}");
            errors.push(FieldError::invalid(path.as_str(), *one, &detail));
        }
        if part == "*" {
            all_of.push(resource);
        }
        if resource == "*" {
            everywhere.push(part);
        }
    }
    let shown = go::texts_of("string", resources);
    let mut complain = |detail: &str| errors.push(FieldError::invalid_shown(path, &shown, detail));
    if resources.len() > 1 && resources.contains(&"*/*") {
        complain("if '*/*' is present, must not specify other resources");
    }
    if resources.contains(&"*") && ends_plain {
        complain("if '*' is present, must not specify other resources without subresources");
    }
}
