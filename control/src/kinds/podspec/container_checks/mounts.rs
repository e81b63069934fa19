//! Where volumes are mounted.

use std::collections::{HashMap, HashSet};
use std::fmt::Arguments;

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{is_true, items, text};
use crate::kinds::podspec::volume_checks;

/// Complaints about a container's `volumeMounts`.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    container: &Value,
    path: Arguments<'_>,
    volumes: &HashMap<&str, &Value>,
) {
    let mut places = HashSet::new();
    // Upstream leaves the index out of some paths.
    let all = format_args!("{path}.volumeMounts");
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let path = format_args!("{all}[{index}]");
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        }
        if !volumes.contains_key(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), name));
        }
        if place.is_empty() {
            errors.push(FieldError::required(format!("{path}.mountPath"), ""));
        }
        if !places.insert(place) {
            errors.push(FieldError::invalid(
                format!("{path}.mountPath"),
                place,
                "must be unique",
            ));
        }
        let (plain, expanded) = (text(mount, "/subPath"), text(mount, "/subPathExpr"));
        if !plain.is_empty() && !expanded.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(
                format!("{path}.subPathExpr"),
                expanded,
                detail,
            ));
        }
        volume_checks::relative_path(errors, plain, format_args!("{all}.subPath"));
        volume_checks::relative_path(errors, expanded, format_args!("{all}.subPathExpr"));
        recursive(errors, mount, format_args!("{all}.recursiveReadOnly"));
        let Some(propagation) = mount.get("mountPropagation").and_then(Value::as_str) else {
            continue;
        };
        let path = format_args!("{all}.mountPropagation");
        let allowed = ["Bidirectional", "HostToContainer", "None"];
        if !allowed.contains(&propagation) {
            errors.push(FieldError::not_supported(path, propagation, &allowed));
        }
        if propagation == "Bidirectional" && !is_true(container, "/securityContext/privileged") {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}

/// What is mounted below a volume can only be read where the volume itself can, and where nothing more comes from the host.
fn recursive(errors: &mut Vec<FieldError>, mount: &Value, path: Arguments<'_>) {
    let Some(choice) = mount.get("recursiveReadOnly").and_then(Value::as_str) else {
        return;
    };
    match choice {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !is_true(mount, "/readOnly") {
                let detail = "may only be specified when readOnly is true";
                errors.push(FieldError::forbidden(path, detail));
            }
            let propagation = mount.get("mountPropagation").and_then(Value::as_str);
            if propagation.is_some_and(|propagation| propagation != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(path, detail));
            }
        }
        other => {
            let allowed = ["Disabled", "Enabled", "IfPossible"];
            errors.push(FieldError::not_supported(path, other, &allowed));
        }
    }
}
