//! What admission policies and their bindings must be, but for their expressions.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::webhooks;
use crate::kinds::apps::workload::label_selector;
use crate::kinds::json::{items, text};

/// Complaints about a policy.
pub(super) fn policy(policy: &Value) -> Vec<FieldError> {
    const POLICIES: [&str; 2] = ["Fail", "Ignore"];
    let mut errors = Vec::new();
    if let Some(kind) = policy.pointer("/spec/paramKind").filter(|kind| kind.is_object()) {
        for field in ["kind", "apiVersion"] {
            if text(kind, &format!("/{field}")).is_empty() {
                errors.push(FieldError::required(format!("spec.paramKind.{field}"), ""));
            }
        }
    }
    let failure = text(policy, "/spec/failurePolicy");
    if failure.is_empty() {
        errors.push(FieldError::required("spec.failurePolicy", ""));
    } else if !POLICIES.contains(&failure) {
        errors.push(FieldError::not_supported(
            "spec.failurePolicy",
            failure,
            &POLICIES,
        ));
    }
    match policy
        .pointer("/spec/matchConstraints")
        .filter(|one| one.is_object())
    {
        None => errors.push(FieldError::required("spec.matchConstraints", "")),
        Some(constraints) => {
            matching(&mut errors, constraints, "spec.matchConstraints");
            if items(constraints, "/resourceRules").is_empty() {
                let path = "spec.matchConstraints.resourceRules";
                errors.push(FieldError::required(path, ""));
            }
        }
    }
    let validations = items(policy, "/spec/validations");
    if validations.is_empty() && items(policy, "/spec/auditAnnotations").is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", detail));
        errors.push(FieldError::required("spec.auditAnnotations", detail));
    }
    for (index, validation) in validations.iter().enumerate() {
        const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
        let path = format!("spec.validations[{index}]");
        if text(validation, "/expression").trim().is_empty() {
            let detail = "expression is not specified";
            errors.push(FieldError::required(format!("{path}.expression"), detail));
        }
        let reason = text(validation, "/reason");
        if !reason.is_empty() && !REASONS.contains(&reason) {
            errors.push(FieldError::not_supported(
                format!("{path}.reason"),
                reason,
                &REASONS,
            ));
        }
    }
    let mut seen = HashSet::new();
    for (index, variable) in items(policy, "/spec/variables").iter().enumerate() {
        let path = format!("spec.variables[{index}]");
        let name = text(variable, "/name");
        if name.is_empty() {
            errors.push(FieldError::required(
                format!("{path}.name"),
                "name is not specified",
            ));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        if text(variable, "/expression").trim().is_empty() {
            let detail = "expression is not specified";
            errors.push(FieldError::required(format!("{path}.expression"), detail));
        }
    }
    errors
}

fn matching(errors: &mut Vec<FieldError>, resources: &Value, path: &str) {
    const POLICIES: [&str; 2] = ["Equivalent", "Exact"];
    let policy = text(resources, "/matchPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        let path = format!("{path}.matchPolicy");
        errors.push(FieldError::not_supported(path, policy, &POLICIES));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = resources.get(field) {
            label_selector(errors, selector, &format!("{path}.{field}"));
        }
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in items(resources, &format!("/{list}")).iter().enumerate() {
            webhooks::operations(errors, rule, &format!("{path}.{list}[{index}]"));
        }
    }
}

/// Complaints about a binding.
pub(super) fn binding(binding: &Value) -> Vec<FieldError> {
    const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
    let mut errors = Vec::new();
    let name = text(binding, "/spec/policyName");
    if name.is_empty() {
        errors.push(FieldError::required("spec.policyName", ""));
    } else {
        errors.extend(FieldError::complaints(
            "spec.policyName",
            name,
            names::dns1123_subdomain(name),
        ));
    }
    if let Some(reference) = binding.pointer("/spec/paramRef").filter(|one| one.is_object()) {
        let (name, selector) = (text(reference, "/name"), reference.get("selector"));
        if !name.is_empty() && selector.is_some() {
            let detail = "name and selector are mutually exclusive";
            errors.push(FieldError::forbidden("spec.paramRef.name", detail));
        }
        if name.is_empty() && selector.is_none() {
            let detail = "one of name or selector must be specified";
            errors.push(FieldError::required("spec.paramRef", detail));
        }
        match text(reference, "/parameterNotFoundAction") {
            "Allow" | "Deny" => {}
            "" => errors.push(FieldError::required("spec.paramRef.parameterNotFoundAction", "")),
            other => errors.push(FieldError::not_supported(
                "spec.paramRef.parameterNotFoundAction",
                other,
                &["Allow", "Deny"],
            )),
        }
    }
    if let Some(resources) = binding
        .pointer("/spec/matchResources")
        .filter(|one| one.is_object())
    {
        matching(&mut errors, resources, "spec.matchResources");
    }
    let actions = items(binding, "/spec/validationActions");
    let path = "spec.validationActions";
    if actions.is_empty() {
        errors.push(FieldError::required(
            path,
            "at least one validation action is required",
        ));
    }
    let mut seen = HashSet::new();
    for (index, action) in actions.iter().filter_map(Value::as_str).enumerate() {
        if !ACTIONS.contains(&action) {
            errors.push(FieldError::not_supported(
                format!("{path}[{index}]"),
                action,
                &ACTIONS,
            ));
        }
        if !seen.insert(action) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), action));
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.push(FieldError::invalid(path, actions.to_vec(), detail));
    }
    errors
}
