//! What each of the three lists of containers may have: hooks and probes, restart and resize policies.

use keelson_api::status::FieldError;
use serde_json::Value;
use std::fmt::Arguments;

use super::{Group, handlers};
use crate::kinds::json::{entries, int, is_unset, items, text};

/// Fields that make sense only for containers that keep running.
const LIVING: [&str; 4] = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

/// Probes and hooks belong to containers that stay; restart policies to init containers.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    container: &Value,
    path: Arguments<'_>,
    group: Group,
    spec: &Value,
) {
    let grace = int(spec, "/terminationGracePeriodSeconds");
    // By pointer in Go: an empty text is a policy, too, and none that there is.
    let policy = container.get("restartPolicy").and_then(Value::as_str);
    let sidecar = group == Group::Init && policy == Some("Always");
    if let Some(policy) = policy {
        let path = format_args!("{path}.restartPolicy");
        match group {
            Group::Init if !sidecar => errors.push(FieldError::not_supported(path, policy, &["Always"])),
            // The list of what ephemeral containers may have speaks for them.
            Group::Init | Group::Ephemeral => {}
            Group::Main => errors.push(FieldError::forbidden(
                path,
                "may not be set for non-init containers",
            )),
        }
    }
    match group {
        Group::Main => handlers::check(errors, container, path, grace),
        Group::Init if sidecar => handlers::check(errors, container, path, grace),
        Group::Init => {
            for field in LIVING
                .into_iter()
                .filter(|field| !is_unset(container.get(*field)))
            {
                let detail = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
            }
        }
        Group::Ephemeral => ephemeral(errors, container, path),
    }
}

/// What an ephemeral container may have. New fields are refused until somebody has thought about them.
const EPHEMERAL: [&str; 17] = [
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "envFrom",
    "env",
    "volumeMounts",
    "volumeDevices",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
    "targetContainerName",
];

/// An ephemeral container is for looking at a pod, not a part of what it does.
fn ephemeral(errors: &mut Vec<FieldError>, container: &Value, path: Arguments<'_>) {
    let detail = "cannot be set for an Ephemeral Container";
    for (field, _) in entries(container, "")
        .filter(|(field, value)| !EPHEMERAL.contains(&field.as_str()) && !is_unset(Some(value)))
    {
        errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
    }
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if !text(&mount[field], "").is_empty() {
                let path = format_args!("{path}.volumeMounts[{index}].{field}");
                errors.push(FieldError::forbidden(path, detail));
            }
        }
    }
}
