//! What the status of a claim says of its size (`ValidatePersistentVolumeClaimStatusUpdate`).

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::json::entries;
use crate::kinds::resource_names::is_native;

/// How far a change of the size has come.
const STEPS: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// Complaints about the status.
pub(super) fn check(claim: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (resource, amount) in entries(claim, "/status/capacity") {
        if errors.len() > MOST_ERRORS {
            return errors;
        }
        errors.extend(negative(amount, &format!("status.capacity[{resource}]")));
    }
    // Upstream's path is not quite the field's name.
    let path = "status.allocatedResourceStatus";
    for (resource, step) in entries(claim, "/status/allocatedResourceStatuses") {
        if errors.len() > MOST_ERRORS {
            return errors;
        }
        errors.extend(key(resource, path));
        if !step.as_str().is_some_and(|step| STEPS.contains(&step)) {
            errors.push(FieldError::not_supported(path, resource.as_str(), &STEPS));
        }
    }
    let path = "status.allocatedResources";
    for (resource, amount) in entries(claim, "/status/allocatedResources") {
        if errors.len() > MOST_ERRORS {
            return errors;
        }
        let wrong = key(resource, path);
        if wrong.is_empty() {
            errors.extend(negative(amount, &format!("{path}[{resource}]")));
        }
        errors.extend(wrong);
    }
    errors
}

fn negative(amount: &Value, path: &str) -> Option<FieldError> {
    let amount = Quantity::from_json(amount)
        .ok()
        .filter(|amount| amount.is_negative())?;
    let detail = "must be a valid resource quantity";
    Some(FieldError::invalid(path, amount.value(), detail))
}

/// Complaints about the name of a resource that volumes have: storage, or one of somebody else.
fn key(resource: &str, path: &str) -> Vec<FieldError> {
    let wrong = names::qualified_name(resource);
    if wrong.is_empty() && is_native(resource) && resource != "storage" {
        return vec![FieldError::not_supported(path, resource, &["storage"])];
    }
    FieldError::complaints(path, resource, wrong).collect()
}
