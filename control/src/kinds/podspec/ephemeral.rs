//! Generic ephemeral volumes: claims that live as long as their pod (`validateEphemeralVolumeSource`).

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS, go_quote};
use serde_json::Value;

use crate::kinds::core::claim_spec;
use crate::kinds::json::{entries, is_unset, items, text};
use crate::kinds::metadata::{check_annotations, check_labels};

/// Complaints about an `ephemeral` source at `path`.
pub(super) fn check(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let path = format_args!("{path}.volumeClaimTemplate");
    let Some(template) = source
        .get("volumeClaimTemplate")
        .filter(|template| template.is_object())
    else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let at = format_args!("{path}.metadata");
    let metadata = template.get("metadata").unwrap_or(&Value::Null);
    let (labels, annotations) = (metadata.get("labels"), metadata.get("annotations"));
    check_annotations(errors, annotations, format_args!("{at}.annotations"));
    check_labels(errors, labels, format_args!("{at}.labels"));
    // Name and owner are given by the controller.
    for (field, _) in entries(metadata, "").filter(|(field, value)| {
        !matches!(field.as_str(), "labels" | "annotations") && !is_unset(Some(value))
    }) {
        let detail = "cannot be set for an ephemeral volume";
        errors.push(FieldError::forbidden(format!("{at}.{field}"), detail));
    }
    let spec = template.get("spec").unwrap_or(&Value::Null);
    claim_spec(errors, spec, &format!("{path}.spec"));
}

/// Longest name of a pod.
const LONGEST: usize = 253;

/// Complaints about the names of claims that are made for a pod. Without a good name of the pod itself, of which something
/// else complains, they are not known.
pub(in crate::kinds) fn claim_names(pod: &Value) -> Vec<FieldError> {
    let pod_name = text(pod, "/metadata/name");
    let volumes = items(pod, "/spec/volumes");
    if pod_name.is_empty() || pod_name.len() > LONGEST {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let mut made = HashSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let name = text(volume, "/name");
        if name.is_empty() || !volume.get("ephemeral").is_some_and(Value::is_object) {
            continue;
        }
        let claim = format!("{pod_name}-{name}");
        for complaint in names::dns1123_subdomain(&claim) {
            let detail = format!("PVC name {}: {complaint}", go_quote(&claim));
            errors.push(FieldError::invalid(
                format!("spec.volumes[{index}].name"),
                name,
                &detail,
            ));
        }
        made.insert(claim);
        if errors.len() > MOST_ERRORS {
            break;
        }
    }
    for (index, volume) in volumes.iter().enumerate() {
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        if made.contains(claim) {
            let path = format_args!("spec.volumes[{index}].persistentVolumeClaim.claimName");
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            errors.push(FieldError::invalid(path, claim, detail));
        }
    }
    errors
}
