//! What all controllers with a selector and a pod template share.

use keelson_api::names;
use keelson_api::selector::Selector;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::go;
use crate::kinds::json::{int, items, text};
use crate::kinds::metadata::check_labels;
use crate::kinds::podspec;

/// Checks a count that may not be negative.
pub(in crate::kinds) fn non_negative(errors: &mut Vec<FieldError>, object: &Value, field: &str) {
    let pointer = format!("/{}", field.replace('.', "/"));
    if let Some(number) = int(object, &pointer)
        && number < 0
    {
        errors.push(FieldError::invalid(field, number, names::NON_NEGATIVE));
    }
}

/// Checks selector and template: the selector is there, is well-formed, selects something and matches the template, of
/// which pods come that run for good.
pub(in crate::kinds) fn selector_and_template(errors: &mut Vec<FieldError>, object: &Value) {
    let selector = object
        .pointer("/spec/selector")
        .filter(|selector| !selector.is_null());
    let template = object.pointer("/spec/template").unwrap_or(&Value::Null);
    let kind = text(object, "/kind");
    match selector {
        None if kind == "DaemonSet" => {}
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) => {
            label_selector(errors, selector, "spec.selector");
            if selector_is_empty(selector) {
                // A ReplicaSet is called a Deployment here, upstream too.
                let name = match kind {
                    "DaemonSet" => "daemonset",
                    "StatefulSet" => "statefulset",
                    _ => "deployment",
                };
                let detail = format!("empty selector is invalid for {name}");
                let shown = go::label_selector(selector);
                errors.push(FieldError::invalid_shown("spec.selector", &shown, &detail));
            }
        }
    }
    let given = selector.unwrap_or(&Value::Null);
    match Selector::from_label_selector(given) {
        Ok(selector) => {
            let labels = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
            if !selector.matches_value(labels) && !selector.is_everything() {
                let detail = "`selector` does not match template `labels`";
                let path = "spec.template.metadata.labels";
                errors.push(FieldError::invalid_shown(path, &go::map(labels), detail));
            }
        }
        Err(_) if kind == "DaemonSet" => {}
        Err(_) => {
            // What the template must match is not known, so nothing is said about it.
            let detail = match kind {
                "StatefulSet" => "",
                _ => "invalid label selector",
            };
            let shown = go::label_selector(given);
            errors.push(FieldError::invalid_shown("spec.selector", &shown, detail));
            if kind == "StatefulSet" {
                always_restarts(errors, object);
            }
            return;
        }
    }
    errors.extend(match kind {
        // Mounts may name claims, so upstream leaves the spec to when pods are made.
        "StatefulSet" => podspec::validate_template_metadata(template, "spec.template"),
        _ => podspec::validate_template(template, "spec.template"),
    });
    always_restarts(errors, object);
}

/// Pods of these controllers run for good.
pub(in crate::kinds) fn always_restarts(errors: &mut Vec<FieldError>, object: &Value) {
    let policy = text(object, "/spec/template/spec/restartPolicy");
    if policy != "Always" {
        let path = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(path, policy, &["Always"]));
    }
    if int(object, "/spec/template/spec/activeDeadlineSeconds").is_some() {
        let detail = format!(
            "activeDeadlineSeconds in {} is not Supported",
            text(object, "/kind")
        );
        errors.push(FieldError::forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            &detail,
        ));
    }
}

/// The selector never changes.
pub(in crate::kinds) fn immutable_selector(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let (was, is) = (old.pointer("/spec/selector"), new.pointer("/spec/selector"));
    if was != is {
        let shown = go::label_selector(is.unwrap_or(&Value::Null));
        errors.push(FieldError::invalid_shown(
            "spec.selector",
            &shown,
            names::IMMUTABLE,
        ));
    }
}

fn selector_is_empty(selector: &Value) -> bool {
    Selector::from_label_selector(selector).is_ok_and(|selector| selector.is_everything())
}

/// Checks a `LabelSelector` at `path`.
pub(in crate::kinds) fn label_selector(errors: &mut Vec<FieldError>, selector: &Value, path: &str) {
    check_labels(
        errors,
        selector.get("matchLabels"),
        &format!("{path}.matchLabels"),
    );
    for (index, expression) in items(selector, "/matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let (operator, values) = (text(expression, "/operator"), items(expression, "/values"));
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{path}.values"), detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(format!("{path}.values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid(format!("{path}.operator"), other, detail));
            }
        }
        let key = text(expression, "/key");
        errors.extend(FieldError::complaints(
            format_args!("{path}.key"),
            key,
            names::qualified_name(key),
        ));
        for (at, value) in values.iter().filter_map(Value::as_str).enumerate() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.values[{at}]"),
                value,
                names::label_value(value),
            ));
        }
    }
}

/// Checks a count or a share of pods, e.g. 1 or `25%`.
pub(in crate::kinds) fn count_or_percent(errors: &mut Vec<FieldError>, value: Option<&Value>, path: &str) {
    match value {
        None | Some(Value::Null) => {}
        Some(value @ Value::String(text)) => {
            let shown = go::int_or_string(value);
            let number = text.strip_suffix('%').filter(|digits| !digits.is_empty());
            let percent = number.and_then(|digits| digits.parse::<u32>().ok());
            match percent {
                None => {
                    let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. \
                                  '1%',  or '93%', regex used for validation is '[0-9]+%')";
                    errors.push(FieldError::invalid_shown(path, &shown, detail));
                }
                // Deployments alone may have more new pods than old ones.
                Some(percent) if percent > 100 && path != "spec.strategy.rollingUpdate.maxSurge" => {
                    let detail = "must not be greater than 100%";
                    errors.push(FieldError::invalid_shown(path, &shown, detail));
                }
                Some(_) => {}
            }
        }
        Some(number) => {
            let count = number.as_i64().unwrap_or(0);
            if count < 0 {
                errors.push(FieldError::invalid(path, count, names::NON_NEGATIVE));
            }
        }
    }
}

/// Whether a count or share is nothing at all.
pub(in crate::kinds) fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text.trim_end_matches('%').parse::<u32>() == Ok(0),
        Some(number) => number.as_i64() == Some(0),
        None => true,
    }
}

/// Replicas wanted, replicas seen, and the selector in the query syntax, for the `Scale` subresource.
pub(in crate::kinds) fn scale(object: &Value) -> (i64, i64, String) {
    let selector = object.pointer("/spec/selector").unwrap_or(&Value::Null);
    let selector = Selector::from_label_selector(selector)
        .map(|s| s.to_string())
        .unwrap_or_default();
    (
        int(object, "/spec/replicas").unwrap_or(0),
        int(object, "/status/replicas").unwrap_or(0),
        selector,
    )
}

/// Complaints about counts in a status: none is negative, and none greater than `status.replicas`.
pub(in crate::kinds) fn replica_counts(object: &Value, counts: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    non_negative(&mut errors, object, "status.replicas");
    for field in counts {
        non_negative(&mut errors, object, &format!("status.{field}"));
    }
    non_negative(&mut errors, object, "status.observedGeneration");
    let total = int(object, "/status/replicas").unwrap_or(0);
    for field in counts {
        let count = int(object, &format!("/status/{field}")).unwrap_or(0);
        if count > total {
            let detail = "cannot be greater than status.replicas";
            errors.push(FieldError::invalid(format!("status.{field}"), count, detail));
        }
    }
    let count = |field: &str| int(object, &format!("/status/{field}")).unwrap_or(0);
    let available = count("availableReplicas");
    if available > count("readyReplicas") {
        let of_set = counts.contains(&"currentReplicas");
        let detail = if of_set {
            "cannot be greater than status.readyReplicas"
        } else {
            "cannot be greater than readyReplicas"
        };
        errors.push(FieldError::invalid("status.availableReplicas", available, detail));
    }
    errors
}

/// Complaints about the count of collisions of names, which never falls.
pub(in crate::kinds) fn collisions(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let path = "status.collisionCount";
    non_negative(errors, new, path);
    let count = |object: &Value| int(object, "/status/collisionCount");
    if let Some(was) = count(old)
        && count(new).is_none_or(|is| is < was)
    {
        let is = count(new).unwrap_or(0);
        errors.push(FieldError::invalid(path, is, "cannot be decremented"));
    }
}
