//! Where a pod wants to be: affinities and spreading (`validateAffinity`, `validateTopologySpreadConstraints`).

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::label_keys;
use crate::kinds::apps::workload::label_selector;
use crate::kinds::json::{int, items, text};

pub(super) const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
pub(super) const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Complaints about `affinity` and `topologySpreadConstraints` of a pod spec at `path`.
pub(super) fn check(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let affinity = spec.get("affinity").unwrap_or(&Value::Null);
    if let Some(node) = affinity.get("nodeAffinity").filter(|one| one.is_object()) {
        node_affinity(errors, node, format_args!("{path}.affinity.nodeAffinity"));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(pods) = affinity.get(kind).filter(|one| one.is_object()) {
            pod_affinity(errors, pods, format_args!("{path}.affinity.{kind}"));
        }
    }
    spreading(errors, spec, path);
}

fn weight(errors: &mut Vec<FieldError>, term: &Value, path: Arguments<'_>) {
    let weight = int(term, "/weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        let detail = "must be in the range 1-100";
        errors.push(FieldError::invalid(format!("{path}.weight"), weight, detail));
    }
}

fn node_affinity(errors: &mut Vec<FieldError>, affinity: &Value, path: Arguments<'_>) {
    if let Some(required) = affinity.get(REQUIRED).filter(|one| one.is_object()) {
        node_selector(errors, required, format_args!("{path}.{REQUIRED}"));
    }
    for (index, term) in items(&affinity[PREFERRED], "").iter().enumerate() {
        let path = format_args!("{path}.{PREFERRED}[{index}]");
        weight(errors, term, path);
        let preference = term.get("preference").unwrap_or(&Value::Null);
        // Upstream has never looked at values that are only preferred.
        node_term(errors, preference, format_args!("{path}.preference"), false);
    }
}

/// Complaints about a `NodeSelector` at `path`.
pub(in crate::kinds) fn node_selector(errors: &mut Vec<FieldError>, selector: &Value, path: Arguments<'_>) {
    let terms = items(selector, "/nodeSelectorTerms");
    let path = format_args!("{path}.nodeSelectorTerms");
    if terms.is_empty() {
        let detail = "must have at least one node selector term";
        errors.push(FieldError::required(path, detail));
    }
    for (index, term) in terms.iter().enumerate() {
        node_term(errors, term, format_args!("{path}[{index}]"), true);
    }
}

/// `required`: whether nodes must have what the term asks for, which no node can whose labels cannot have the value.
fn node_term(errors: &mut Vec<FieldError>, term: &Value, path: Arguments<'_>, required: bool) {
    for (index, requirement) in items(term, "/matchExpressions").iter().enumerate() {
        let path = format_args!("{path}.matchExpressions[{index}]");
        let (operator, values) = (text(requirement, "/operator"), items(requirement, "/values"));
        let at = format_args!("{path}.values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(at, detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at, detail));
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(at, detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid(format!("{path}.operator"), other, detail));
            }
        }
        let key = text(requirement, "/key");
        errors.extend(FieldError::complaints(
            format_args!("{path}.key"),
            key,
            names::qualified_name(key),
        ));
        let values = values.iter().filter_map(Value::as_str).enumerate();
        for (index, value) in values.filter(|_| required) {
            errors.extend(FieldError::complaints(
                format_args!("{at}[{index}]"),
                value,
                names::label_value(value),
            ));
        }
    }
    for (index, requirement) in items(term, "/matchFields").iter().enumerate() {
        let path = format_args!("{path}.matchFields[{index}]");
        let (operator, values) = (text(requirement, "/operator"), items(requirement, "/values"));
        match operator {
            "In" | "NotIn" if values.len() != 1 => {
                let detail =
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(FieldError::required(format!("{path}.values"), detail));
            }
            "In" | "NotIn" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid(format!("{path}.operator"), other, detail));
            }
        }
        let key = text(requirement, "/key");
        if key != "metadata.name" {
            let detail = "not a valid field selector key";
            errors.push(FieldError::invalid(format!("{path}.key"), key, detail));
            continue;
        }
        for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.values[{index}]"),
                value,
                names::dns1123_subdomain(value),
            ));
        }
    }
}

fn pod_affinity(errors: &mut Vec<FieldError>, affinity: &Value, path: Arguments<'_>) {
    for (index, term) in items(&affinity[REQUIRED], "").iter().enumerate() {
        pod_term(errors, term, format_args!("{path}.{REQUIRED}[{index}]"));
    }
    for (index, preferred) in items(&affinity[PREFERRED], "").iter().enumerate() {
        let path = format_args!("{path}.{PREFERRED}[{index}]");
        weight(errors, preferred, path);
        let term = preferred.get("podAffinityTerm").unwrap_or(&Value::Null);
        pod_term(errors, term, format_args!("{path}.podAffinityTerm"));
    }
}

fn pod_term(errors: &mut Vec<FieldError>, term: &Value, path: Arguments<'_>) {
    for field in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = term.get(field) {
            label_selector(errors, selector, &format!("{path}.{field}"));
        }
    }
    for name in items(term, "/namespaces").iter().filter_map(Value::as_str) {
        errors.extend(FieldError::complaints(
            format_args!("{path}.namespace"),
            name,
            names::dns1123_label(name),
        ));
    }
    label_keys::check_term(errors, term, path);
    topology_key(errors, term, path);
}

fn topology_key(errors: &mut Vec<FieldError>, term: &Value, path: Arguments<'_>) {
    let key = text(term, "/topologyKey");
    let path = format_args!("{path}.topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(path, "can not be empty"));
    }
    errors.extend(FieldError::complaints(path, key, names::qualified_name(key)));
}

fn spreading(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    const UNSATISFIED: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
    let mut seen = HashSet::new();
    for (index, constraint) in items(spec, "/topologySpreadConstraints").iter().enumerate() {
        let path = format_args!("{path}.topologySpreadConstraints[{index}]");
        let skew = int(constraint, "/maxSkew").unwrap_or(0);
        if skew <= 0 {
            let detail = "must be greater than zero";
            errors.push(FieldError::invalid(format!("{path}.maxSkew"), skew, detail));
        }
        // Upstream takes any text here.
        if text(constraint, "/topologyKey").is_empty() {
            errors.push(FieldError::required(
                format!("{path}.topologyKey"),
                "can not be empty",
            ));
        }
        let policy = text(constraint, "/whenUnsatisfiable");
        if !UNSATISFIED.contains(&policy) {
            let path = format_args!("{path}.whenUnsatisfiable");
            errors.push(FieldError::not_supported(path, policy, &UNSATISFIED));
        }
        let key = (text(constraint, "/topologyKey"), policy);
        if !seen.insert(key) {
            let shown = format!("{{{}, {}}}", key.0, key.1);
            let path = format_args!("{path}.{{topologyKey, whenUnsatisfiable}}");
            errors.push(FieldError::duplicate(path, shown));
        }
        if let Some(least) = int(constraint, "/minDomains") {
            let path = format_args!("{path}.minDomains");
            if least <= 0 {
                let detail = "must be greater than zero";
                errors.push(FieldError::invalid(path, least, detail));
            }
            if policy != "DoNotSchedule" {
                let detail =
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {policy}");
                errors.push(FieldError::invalid(path, least, &detail));
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let value = constraint.get(field).and_then(Value::as_str);
            if let Some(value) = value.filter(|value| !matches!(*value, "Honor" | "Ignore")) {
                let path = format_args!("{path}.{field}");
                errors.push(FieldError::not_supported(path, value, &["Honor", "Ignore"]));
            }
        }
        if let Some(selector) = constraint.get("labelSelector") {
            label_selector(errors, selector, &format!("{path}.labelSelector"));
        }
        label_keys::check_spread(errors, constraint, path);
    }
}
