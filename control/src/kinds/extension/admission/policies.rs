//! What admission policies and their bindings must be, but for their expressions.

mod parts;

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use super::webhooks;
use crate::kinds::apps::workload::label_selector;
use crate::kinds::json::{items, text};

/// Complaints about a policy.
pub(super) fn policy(policy: &Value) -> Vec<FieldError> {
    const POLICIES: [&str; 2] = ["Fail", "Ignore"];
    let mut errors = Vec::new();
    if let Some(kind) = policy.pointer("/spec/paramKind").filter(|kind| kind.is_object()) {
        parts::parameters(&mut errors, kind);
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
    webhooks::match_conditions(&mut errors, &policy["spec"], "spec");
    let validations = items(policy, "/spec/validations");
    if validations.is_empty() && items(policy, "/spec/auditAnnotations").is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", detail));
        errors.push(FieldError::required("spec.auditAnnotations", detail));
    }
    for (index, validation) in validations.iter().enumerate() {
        const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
        let path = format!("spec.validations[{index}]");
        if text(validation, "/expression").trim().is_empty() {
            let detail = "expression is not specified";
            errors.push(FieldError::required(format!("{path}.expression"), detail));
        }
        parts::messages(&mut errors, validation, &path);
        let reason = text(validation, "/reason");
        if !reason.is_empty() && !REASONS.contains(&reason) {
            errors.push(FieldError::not_supported(
                format!("{path}.reason"),
                reason,
                &REASONS,
            ));
        }
    }
    parts::audit_annotations(&mut errors, policy);
    let mut seen = HashSet::new();
    for (index, variable) in items(policy, "/spec/variables").iter().enumerate() {
        let path = format!("spec.variables[{index}]");
        let name = text(variable, "/name");
        if name.trim().is_empty() {
            errors.push(FieldError::required(
                format!("{path}.name"),
                "name is not specified",
            ));
        } else if !parts::is_identifier(name) {
            let detail = "name is not a valid CEL identifier";
            errors.push(FieldError::invalid(format!("{path}.name"), name, detail));
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
            let path = format!("{path}.{list}[{index}]");
            let mut seen = HashSet::new();
            for (at, name) in items(rule, "/resourceNames").iter().enumerate() {
                if errors.len() > MOST_ERRORS {
                    return;
                }
                let (name, path) = (
                    name.as_str().unwrap_or_default(),
                    format!("{path}.resourceNames[{at}]"),
                );
                errors.extend(FieldError::complaints(&path, name, names::path_segment(name)));
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(path, name));
                }
            }
            webhooks::operations(errors, rule, &path);
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
        let path = "spec.paramRef";
        if !name.is_empty() {
            let complaints = names::path_segment(name);
            errors.extend(FieldError::complaints(
                format_args!("{path}.name"),
                name,
                complaints,
            ));
        }
        if let Some(selector) = selector {
            label_selector(&mut errors, selector, &format!("{path}.selector"));
        }
        if !name.is_empty() && selector.is_some() {
            let detail = "name and selector are mutually exclusive";
            errors.push(FieldError::forbidden(format!("{path}.name"), detail));
            errors.push(FieldError::forbidden(format!("{path}.selector"), detail));
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
        // So spelt upstream.
        matching(&mut errors, resources, "spec.matchResouces");
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
