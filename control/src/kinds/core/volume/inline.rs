//! Volumes without an object of their own, described where they are attached (`ValidatePersistentVolumeSpec`).

use keelson_api::status::FieldError;
use serde_json::Value;

use super::{check_modes, sources};
use crate::kinds::json::text;

/// Complaints about a volume that an attachment describes, rather than name it: of CSI, and nobody's.
pub(in crate::kinds) fn check(spec: &Value, path: &str) -> Vec<FieldError> {
    const WHERE: &str = "in the context of inline volumes";
    let mut errors = Vec::new();
    let nothing = format!("may not be specified {WHERE}");
    let forbid = |errors: &mut Vec<FieldError>, field: &str, detail: &str| {
        errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
    };
    for field in ["claimRef", "capacity"] {
        let object = spec.get(field).and_then(Value::as_object);
        // A reference is there even if it says nothing.
        if object.is_some_and(|object| field == "claimRef" || !object.is_empty()) {
            forbid(&mut errors, field, &nothing);
        }
    }
    if !spec.get("csi").is_some_and(Value::is_object) {
        let detail = format!("has to be specified {WHERE}");
        errors.push(FieldError::required(format!("{path}.csi"), &detail));
    }
    check_modes(&mut errors, spec, &format!("{path}.accessModes"), "");
    if !matches!(text(spec, "/persistentVolumeReclaimPolicy"), "" | "Retain") {
        let detail = format!("may only be Retain {WHERE}");
        forbid(&mut errors, "persistentVolumeReclaimPolicy", &detail);
    }
    if spec.get("nodeAffinity").is_some_and(Value::is_object) {
        forbid(&mut errors, "nodeAffinity", &nothing);
    }
    sources(&mut errors, spec, path, "");
    if !text(spec, "/storageClassName").is_empty() {
        forbid(&mut errors, "storageClassName", &nothing);
    }
    let mode = spec.get("volumeMode").and_then(Value::as_str);
    if mode.is_some_and(|mode| mode != "Filesystem") {
        let detail = format!("may not specify volumeMode other than Filesystem {WHERE}");
        forbid(&mut errors, "volumeMode", &detail);
    }
    errors
}
