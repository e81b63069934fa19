//! What an autoscaler may be asked to follow, and how fast (`pkg/apis/autoscaling/validation`).

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{int, items, text};
use crate::kinds::resource_names;

/// Types of metrics and the fields that hold them, in the order in which they are looked at.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// Longest memory of a scaling rule, and longest period of a policy, in seconds.
const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// Complaints about `spec.metrics` and `spec.behavior`.
pub(super) fn check(errors: &mut Vec<FieldError>, hpa: &Value) {
    for (index, metric) in items(hpa, "/spec/metrics").iter().enumerate() {
        check_metric(errors, metric, &format!("spec.metrics[{index}]"));
    }
    // What is measured in pods says nothing where there are none.
    let of_others = |metric: &Value| matches!(text(metric, "/type"), "Object" | "External");
    if int(hpa, "/spec/minReplicas") == Some(0) && !items(hpa, "/spec/metrics").iter().any(of_others) {
        let detail =
            "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(FieldError::forbidden("spec.metrics", detail));
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = hpa.pointer(&format!("/spec/behavior/{direction}"));
        if let Some(rules) = rules.filter(|rules| rules.is_object()) {
            check_rules(errors, rules, &format!("spec.behavior.{direction}"));
        }
    }
}

fn check_metric(errors: &mut Vec<FieldError>, metric: &Value, path: &str) {
    let kind = text(metric, "/type");
    let own = SOURCES.iter().find(|(known, _)| *known == kind);
    let own = own.map(|(_, field)| *field);
    if own.is_none() {
        let path = format!("{path}.type");
        if kind.is_empty() {
            let detail = "must specify a metric source type";
            errors.push(FieldError::required(path.as_str(), detail));
        }
        errors.push(FieldError::not_supported(path, kind, &TYPES));
    }
    let present: Vec<&str> = SOURCES
        .iter()
        .map(|(_, field)| *field)
        .filter(|field| metric.get(*field).is_some_and(Value::is_object))
        .collect();
    // Of several sources only the first is looked into, whichever is meant.
    if let Some(first) = present.first() {
        check_source(errors, &metric[*first], &format!("{path}.{first}"), first);
    }
    if let Some(own) = own.filter(|own| !present.contains(own)) {
        let detail = "must populate information for the given metric source";
        errors.push(FieldError::required(format!("{path}.{own}"), detail));
    }
    if present.len() > 1 {
        for other in present.into_iter().filter(|other| Some(*other) != own) {
            let detail = "must populate the given metric source only";
            errors.push(FieldError::forbidden(format!("{path}.{other}"), detail));
        }
    }
}

fn check_source(errors: &mut Vec<FieldError>, source: &Value, path: &str, field: &str) {
    if matches!(field, "resource" | "containerResource") {
        resource(errors, source, path, field == "containerResource");
        return;
    }
    if field == "object" {
        check_reference(
            errors,
            &source["describedObject"],
            &format!("{path}.describedObject"),
        );
    }
    let name = text(source, "/metric/name");
    let at = format!("{path}.metric.name");
    if name.is_empty() {
        errors.push(FieldError::required(at, "must specify a metric name"));
    } else {
        errors.extend(FieldError::complaints(&at, name, names::path_segment(name)));
    }
    other_target(errors, source, path, field);
}

/// Complaints about a `CrossVersionObjectReference`.
pub(super) fn check_reference(errors: &mut Vec<FieldError>, reference: &Value, path: &str) {
    for field in ["kind", "name"] {
        let value = text(reference, &format!("/{field}"));
        let path = format!("{path}.{field}");
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else {
            errors.extend(FieldError::complaints(&path, value, names::path_segment(value)));
        }
    }
}

fn target(errors: &mut Vec<FieldError>, source: &Value, path: &str) {
    let target = source.get("target").unwrap_or(&Value::Null);
    let (kind, at) = (text(target, "/type"), format!("{path}.type"));
    if kind.is_empty() {
        let detail = "must specify a metric target type";
        errors.push(FieldError::required(at.as_str(), detail));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let detail = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(at, kind, detail));
    }
    for field in ["value", "averageValue"] {
        let amount = target.get(field).filter(|amount| !amount.is_null());
        let Some(Ok(amount)) = amount.map(Quantity::from_json) else {
            continue;
        };
        if amount.is_zero() || amount.is_negative() {
            let detail = "must be positive";
            errors.push(FieldError::invalid(
                format!("{path}.{field}"),
                amount.to_string(),
                detail,
            ));
        }
    }
    if let Some(percent) = int(target, "/averageUtilization").filter(|percent| *percent < 1) {
        let detail = "must be greater than 0";
        errors.push(FieldError::invalid(
            format!("{path}.averageUtilization"),
            percent,
            detail,
        ));
    }
}

fn has(source: &Value, field: &str) -> bool {
    source
        .pointer(&format!("/target/{field}"))
        .is_some_and(|value| !value.is_null())
}

fn resource(errors: &mut Vec<FieldError>, source: &Value, path: &str, of_container: bool) {
    let (name, at) = (text(source, "/name"), format!("{path}.name"));
    if name.is_empty() {
        errors.push(FieldError::required(at, "must specify a resource name"));
    } else if of_container {
        resource_names::check_of_container(errors, name, &at);
    }
    if of_container {
        let (container, at) = (text(source, "/container"), format!("{path}.container"));
        if container.is_empty() {
            errors.push(FieldError::required(at, "must specify a container"));
        } else {
            errors.extend(FieldError::complaints(
                at,
                container,
                names::dns1123_label(container),
            ));
        }
    }
    let path = format!("{path}.target");
    target(errors, source, &path);
    match (has(source, "averageUtilization"), has(source, "averageValue")) {
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.push(FieldError::required(format!("{path}.averageUtilization"), detail));
        }
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.push(FieldError::forbidden(format!("{path}.averageValue"), detail));
        }
        _ => {}
    }
}

fn other_target(errors: &mut Vec<FieldError>, source: &Value, path: &str, field: &str) {
    let path = format!("{path}.target");
    target(errors, source, &path);
    let (value, average) = (has(source, "value"), has(source, "averageValue"));
    let missing = match field {
        "pods" => (!average).then_some("must specify a positive target averageValue"),
        _ if value || average => None,
        "object" => Some("must set either a target value or averageValue"),
        _ => Some("must set either a target value for metric or a per-pod target"),
    };
    if let Some(detail) = missing {
        errors.push(FieldError::required(format!("{path}.averageValue"), detail));
    }
    if value && average && field == "external" {
        let detail = "may not set both a target value for metric and a per-pod target";
        errors.push(FieldError::forbidden(format!("{path}.value"), detail));
    }
}

fn check_rules(errors: &mut Vec<FieldError>, rules: &Value, path: &str) {
    const SELECT: [&str; 3] = ["Disabled", "Max", "Min"];
    // By pointer in Go: an empty text is one too, and none is none (v1's annotation gets no defaults).
    let select = rules["selectPolicy"].as_str();
    if let Some(select) = select.filter(|select| !SELECT.contains(select)) {
        let path = format!("{path}.selectPolicy");
        errors.push(FieldError::not_supported(path, select, &SELECT));
    }
    let window = int(rules, "/stabilizationWindowSeconds").unwrap_or(0);
    let at = format!("{path}.stabilizationWindowSeconds");
    if window < 0 {
        let detail = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(at, window, detail));
    } else if window > LONGEST_WINDOW {
        let detail = format!("must be less than or equal to {LONGEST_WINDOW}");
        errors.push(FieldError::invalid(at, window, &detail));
    }
    let policies = items(rules, "/policies");
    if policies.is_empty() {
        let detail = "must specify at least one Policy";
        errors.push(FieldError::required(format!("{path}.policies"), detail));
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = format!("{path}.policies[{index}]");
        let kind = text(policy, "/type");
        if !matches!(kind, "Pods" | "Percent") {
            let path = format!("{path}.type");
            errors.push(FieldError::not_supported(path, kind, &["Percent", "Pods"]));
        }
        for field in ["value", "periodSeconds"] {
            let number = int(policy, &format!("/{field}")).unwrap_or(0);
            if number <= 0 {
                let detail = "must be greater than zero";
                errors.push(FieldError::invalid(format!("{path}.{field}"), number, detail));
            }
        }
        let period = int(policy, "/periodSeconds").unwrap_or(0);
        if period > LONGEST_PERIOD {
            let detail = format!("must be less than or equal to {LONGEST_PERIOD}");
            errors.push(FieldError::invalid(
                format!("{path}.periodSeconds"),
                period,
                &detail,
            ));
        }
    }
}
