//! What an autoscaler may be asked to follow, and how fast (`pkg/apis/autoscaling/validation`).

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{int, items, text};

/// Types of metrics and the fields that hold them.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// Longest memory of a scaling rule, and longest period of a policy, in seconds.
const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// Complaints about `spec.metrics` and `spec.behavior`.
pub(super) fn check(errors: &mut Vec<FieldError>, hpa: &Value) {
    for (index, metric) in items(hpa, "/spec/metrics").iter().enumerate() {
        check_metric(errors, metric, &format!("spec.metrics[{index}]"));
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
    let known: Vec<&str> = SOURCES.iter().map(|(kind, _)| *kind).collect();
    let Some((_, field)) = SOURCES.iter().find(|(known, _)| *known == kind) else {
        let path = format!("{path}.type");
        if kind.is_empty() {
            let detail = "must specify a metric source type";
            errors.push(FieldError::required(path.as_str(), detail));
        }
        errors.push(FieldError::not_supported(path, kind, &known));
        return;
    };
    for (_, other) in SOURCES.iter().filter(|(_, other)| other != field) {
        if metric.get(*other).is_some_and(Value::is_object) {
            let detail = "must populate the given metric source only";
            errors.push(FieldError::forbidden(format!("{path}.{other}"), detail));
        }
    }
    let path = format!("{path}.{field}");
    let Some(source) = metric.get(*field).filter(|source| source.is_object()) else {
        let detail = "must populate information for the given metric source";
        errors.push(FieldError::required(path, detail));
        return;
    };
    match kind {
        "Resource" | "ContainerResource" => resource(errors, source, &path, kind == "ContainerResource"),
        _ => {
            let name = text(source, "/metric/name");
            let at = format!("{path}.metric.name");
            if name.is_empty() {
                errors.push(FieldError::required(at, "must specify a metric name"));
            } else {
                errors.extend(FieldError::complaints(&at, name, names::path_segment(name)));
            }
            if kind == "Object" {
                for field in ["kind", "name"] {
                    if text(source, &format!("/describedObject/{field}")).is_empty() {
                        errors.push(FieldError::required(
                            format!("{path}.describedObject.{field}"),
                            "",
                        ));
                    }
                }
            }
            other_target(errors, source, &path, kind);
        }
    }
}

fn target(errors: &mut Vec<FieldError>, source: &Value, path: &str) {
    let target = source.get("target").unwrap_or(&Value::Null);
    match text(target, "/type") {
        "" => {
            let detail = "must specify a metric target type";
            errors.push(FieldError::required(format!("{path}.type"), detail));
        }
        "Utilization" | "Value" | "AverageValue" => {}
        other => {
            let detail = "must be either Utilization, Value, or AverageValue";
            errors.push(FieldError::invalid(format!("{path}.type"), other, detail));
        }
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
    if text(source, "/name").is_empty() {
        let detail = "must specify a resource name";
        errors.push(FieldError::required(format!("{path}.name"), detail));
    }
    if of_container && text(source, "/container").is_empty() {
        let detail = "must specify a container";
        errors.push(FieldError::required(format!("{path}.container"), detail));
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

fn other_target(errors: &mut Vec<FieldError>, source: &Value, path: &str, kind: &str) {
    let path = format!("{path}.target");
    target(errors, source, &path);
    let (value, average) = (has(source, "value"), has(source, "averageValue"));
    if kind == "Pods" {
        if !average {
            let detail = "must specify a positive target averageValue";
            errors.push(FieldError::required(format!("{path}.averageValue"), detail));
        }
    } else if !value && !average {
        let detail = "must set either a target value for metric or a per-pod target";
        errors.push(FieldError::required(format!("{path}.averageValue"), detail));
    } else if value && average && kind == "External" {
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
