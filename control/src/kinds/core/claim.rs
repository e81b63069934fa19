//! PersistentVolumeClaims.

mod source;
mod told;

use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::volume::{attributes_changed, check_modes, phase, short_modes, storage_fields};
use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, update};

const CLAIM: &[ColumnDef] = &[
    NAME,
    (
        "Status",
        "string",
        0,
        "status represents the current information/status of a persistent volume claim.",
    ),
    (
        "Volume",
        "string",
        0,
        "volumeName is the binding reference to the PersistentVolume backing this claim.",
    ),
    (
        "Capacity",
        "string",
        0,
        "capacity represents the actual resources of the underlying volume.",
    ),
    (
        "Access Modes",
        "string",
        0,
        "accessModes contains the actual access modes the volume backing the PVC has.",
    ),
    ("StorageClass", "string", 0, "StorageClass of the pvc"),
    (
        "VolumeAttributesClass",
        "string",
        0,
        "VolumeAttributesClass of the pvc",
    ),
    AGE,
    (
        "VolumeMode",
        "string",
        1,
        "volumeMode defines what type of volume is required by the claim.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind(
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        CLAIM,
        Claim,
    )
    .short(&["pvc"])
    .status()
    .done()
}

#[derive(Debug)]
struct Claim;

impl Strategy for Claim {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            set_zero(status, "phase", "Pending");
        }
        if let Some(spec) = object_or_new(map, "spec") {
            set_default(spec, "volumeMode", "Filesystem");
            object_or_new(spec, "resources");
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"phase": "Pending"});
        source::settle(None, new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
        source::settle(Some(old), new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        spec(&mut errors, object.get("spec").unwrap_or(&Value::Null), "spec");
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = fixed_class(old, new);
        if subresource.is_some() {
            errors.extend(told::check(new));
            return errors;
        }
        errors.extend(self.validate_create(new));
        // Binding sets the volume once; growing is allowed; nothing else is.
        let mut comparable = new.get("spec").cloned().unwrap_or_default();
        let unbound = text(old, "/spec/volumeName").is_empty();
        if let Some(map) = comparable.as_object_mut() {
            let was = |field: &str| old.pointer("/spec").and_then(|spec| spec.get(field)).cloned();
            let bound = text(new, "/status/phase") == "Bound";
            for field in ["volumeAttributesClassName"]
                .into_iter()
                .chain(unbound.then_some("volumeName"))
            {
                match was(field) {
                    Some(value) => drop(map.insert(field.to_owned(), value)),
                    None => drop(map.remove(field)),
                }
            }
            let requests = map
                .get_mut("resources")
                .and_then(|resources| resources.get_mut("requests"));
            if let Some(requests) = requests.filter(|_| bound)
                && let Some(amount) = old.pointer("/spec/resources/requests/storage")
            {
                requests["storage"] = amount.clone();
            }
            let annotation = text(&old["metadata"]["annotations"], CLASS_POINTER);
            if was("storageClassName").is_none()
                && (annotation.is_empty() || text(new, "/spec/storageClassName") == annotation)
            {
                // A default class may be set afterwards, and the one that the annotation names.
                map.remove("storageClassName");
            }
        }
        let mut settled = old.clone();
        source::say_twice(&mut settled);
        if settled.get("spec") != Some(&comparable) {
            let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName \
                          for bound claims\n";
            errors.push(FieldError::forbidden("spec", detail));
        }
        let amount = |object: &Value, pointer: &str| {
            let amount = object.pointer(pointer);
            amount
                .and_then(|amount| Quantity::from_json(amount).ok())
                .unwrap_or_default()
        };
        let asked = "/spec/resources/requests/storage";
        // Who asked for more than there is may ask for less again, but for more than there was: volumes do not shrink.
        let smaller = amount(new, asked) < amount(old, asked);
        if smaller && amount(new, asked) <= amount(old, "/status/capacity/storage") {
            let detail = "field can not be less than status.capacity";
            errors.push(FieldError::forbidden("spec.resources.requests.storage", detail));
        }
        let mode = |claim: &Value| claim["spec"]["volumeMode"].clone();
        if mode(old) != mode(new) {
            errors.push(FieldError::invalid("volumeMode", mode(new), "field is immutable"));
        }
        errors.extend(attributes_changed(old, new));
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let bound = !text(object, "/spec/volumeName").is_empty();
        let (capacity, modes) = if bound {
            (
                text(object, "/status/capacity/storage"),
                short_modes(items(object, "/status/accessModes")),
            )
        } else {
            ("", String::new())
        };
        vec![
            cells::name(object),
            Value::from(phase(object)),
            Value::from(text(object, "/spec/volumeName")),
            Value::from(capacity),
            Value::from(modes),
            Value::from(text(object, "/spec/storageClassName")),
            cells::text_or(object, "/spec/volumeAttributesClassName", "<unset>"),
            cells::age(object, now),
            cells::text_or(object, "/spec/volumeMode", "<unset>"),
        ]
    }
}

/// Complaints about the spec of a claim at `path` (`ValidatePersistentVolumeClaimSpec`).
pub(in crate::kinds) fn spec(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let modes = format!("{path}.accessModes");
    check_modes(errors, spec, &modes, "at least 1 access mode is required");
    storage_fields(errors, spec, path);
    if let Some(selector) = spec.get("selector") {
        label_selector(errors, selector, &format!("{path}.selector"));
    }
    source::check(errors, spec, path);
    let path = format!("{path}.resources[storage]");
    let storage = spec.pointer("/resources/requests/storage");
    match storage.map(Quantity::from_json) {
        None => errors.push(FieldError::required(path, "")),
        Some(Ok(amount)) if amount.is_zero() || amount.is_negative() => {
            let detail = "must be greater than zero";
            errors.push(FieldError::invalid(path, amount.to_string(), detail));
        }
        Some(_) => {}
    }
}

/// Quota counts a claim for its class, also for one that only the annotation names (`ValidateImmutableAnnotation`). The
/// annotation may go when the field takes over its class.
fn fixed_class(old: &Value, new: &Value) -> Vec<FieldError> {
    let annotation = |claim: &Value| text(&claim["metadata"]["annotations"], CLASS_POINTER).to_owned();
    let (was, is) = (annotation(old), annotation(new));
    let taken_over = is.is_empty()
        && old.pointer("/spec/storageClassName").is_none()
        && text(new, "/spec/storageClassName") == was;
    if was == is || taken_over {
        return Vec::new();
    }
    vec![FieldError::invalid(
        "metadata.annotations.volume.beta.kubernetes.io/storage-class",
        is,
        "field is immutable",
    )]
}

/// The annotation that named the class before there was a field.
const CLASS_POINTER: &str = "/volume.beta.kubernetes.io~1storage-class";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_of_the_class_stays_or_becomes_the_field() {
        let claim = |annotation: Option<&str>, class: Option<&str>| {
            let mut claim = json!({
                "metadata": {"name": "c"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            });
            if let Some(annotation) = annotation {
                claim["metadata"]["annotations"] =
                    json!({"volume.beta.kubernetes.io/storage-class": annotation});
            }
            if let Some(class) = class {
                claim["spec"]["storageClassName"] = class.into();
            }
            claim
        };
        for (old, new, allowed) in [
            (claim(Some("gold"), None), claim(Some("gold"), None), true),
            (claim(Some("gold"), None), claim(None, Some("gold")), true),
            (claim(Some("gold"), None), claim(None, Some("lead")), false),
            (claim(Some("gold"), None), claim(Some("lead"), None), false),
            (claim(Some("gold"), None), claim(Some("gold"), Some("gold")), true),
            (
                claim(Some("gold"), None),
                claim(Some("gold"), Some("lead")),
                false,
            ),
            (claim(Some("gold"), None), claim(None, None), false),
            (claim(None, None), claim(Some("gold"), None), false),
            (
                claim(None, Some("gold")),
                claim(Some("lead"), Some("gold")),
                false,
            ),
        ] {
            let errors = Claim.validate_update(None, &old, &new);
            assert_eq!(errors.is_empty(), allowed, "{old} {new}: {errors:?}");
        }
        let errors = Claim.validate_update(Some("status"), &claim(Some("gold"), None), &claim(None, None));
        assert_eq!(errors.len(), 1, "nor by its status");
    }
}
