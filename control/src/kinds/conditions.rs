//! Conditions of the common type (`metav1validation.ValidateConditions`).

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::json::{int, items, text};

/// Most bytes of a reason and of a message.
const LONGEST_REASON: usize = 1024;
const LONGEST_MESSAGE: usize = 32 * 1024;

/// Complaints about `status.conditions`.
pub(super) fn check(errors: &mut Vec<FieldError>, object: &Value) {
    let mut seen = HashSet::new();
    for (index, condition) in items(object, "/status/conditions").iter().enumerate() {
        let path = format!("status.conditions[{index}]");
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
        let complaints = names::qualified_name(kind);
        errors.extend(FieldError::complaints(format!("{path}.type"), kind, complaints));
        let allowed = ["False", "True", "Unknown"];
        if !allowed.contains(&status) {
            errors.push(FieldError::not_supported(
                format!("{path}.status"),
                status,
                &allowed,
            ));
        }
        if let Some(seen) = int(condition, "/observedGeneration").filter(|seen| *seen < 0) {
            let path = format!("{path}.observedGeneration");
            let detail = "must be greater than or equal to zero";
            errors.push(FieldError::invalid(path, seen, detail));
        }
        if text(condition, "/lastTransitionTime").is_empty() {
            errors.push(FieldError::required(
                format!("{path}.lastTransitionTime"),
                "must be set",
            ));
        }
        reason(errors, text(condition, "/reason"), &format!("{path}.reason"));
        if text(condition, "/message").len() > LONGEST_MESSAGE {
            errors.push(FieldError::too_long(format!("{path}.message"), LONGEST_MESSAGE));
        }
    }
}

fn reason(errors: &mut Vec<FieldError>, reason: &str, path: &str) {
    if reason.is_empty() {
        errors.push(FieldError::required(path, "must be set"));
        return;
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':');
    let good = reason.starts_with(|first: char| first.is_ascii_alphabetic())
        && reason.bytes().all(inner)
        && !reason.ends_with([',', ':']);
    if !good {
        let detail = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
                      characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  \
                      or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
                      '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
        errors.push(FieldError::invalid(path, reason, detail));
    }
    if reason.len() > LONGEST_REASON {
        errors.push(FieldError::too_long(path, LONGEST_REASON));
    }
}
