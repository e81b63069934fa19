//! What resources may be called where they are counted (`validateResourceName` and `validateContainerResourceName`).

use std::fmt::Display;

use keelson_api::names;
use keelson_api::status::FieldError;

/// Names without a domain.
const STANDARD: [&str; 20] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];

/// Whether a resource is one of Kubernetes' own (`IsNativeResource`, which looks for the domain anywhere in the name).
pub(super) fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

/// Complaints about the name of any resource.
pub(super) fn check(errors: &mut Vec<FieldError>, resource: &str, path: impl Display + Copy) {
    let complaints = names::qualified_name(resource);
    let wrong = !complaints.is_empty();
    errors.extend(FieldError::complaints(path, resource, complaints));
    let standard = STANDARD.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-");
    if !wrong && !resource.contains('/') && !standard {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(path, resource, detail));
    }
}

/// Complaints about the name of a resource that a container has.
pub(super) fn check_of_container(errors: &mut Vec<FieldError>, resource: &str, path: impl Display + Copy) {
    check(errors, resource, path);
    if !resource.contains('/') {
        let standard =
            matches!(resource, "cpu" | "memory" | "ephemeral-storage") || resource.starts_with("hugepages-");
        if !standard {
            let detail = "must be a standard resource for containers";
            errors.push(FieldError::invalid(path, resource, detail));
        }
    } else if !is_native(resource) {
        // A quota counts it as `requests.` and its name.
        let extended = !resource.starts_with("requests.")
            && names::qualified_name(&format!("requests.{resource}")).is_empty();
        if !extended {
            let detail = "doesn't follow extended resource name standard";
            errors.push(FieldError::invalid(path, resource, detail));
        }
    }
}
