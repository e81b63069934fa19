//! What a change of a container's resources does to it (`validateResizePolicy`). Upstream leaves the index out of most paths.

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::json::{items, text};

/// Complaints about the `resizePolicy` of a container in a pod with this restart policy.
pub(super) fn check(errors: &mut Vec<FieldError>, container: &Value, path: Arguments<'_>, restart: &str) {
    let path = format_args!("{path}.resizePolicy");
    let mut seen = HashSet::new();
    for (index, rule) in items(container, "/resizePolicy").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let resource = text(rule, "/resourceName");
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), resource));
        }
        let policy = text(rule, "/restartPolicy");
        let choices = [
            (resource, ["cpu", "memory"]),
            (policy, ["NotRequired", "RestartContainer"]),
        ];
        for (value, allowed) in choices {
            if value.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else if !allowed.contains(&value) {
                errors.push(FieldError::not_supported(path, value, &allowed));
            }
        }
        if restart == "Never" && policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(path, policy, detail));
        }
    }
}
