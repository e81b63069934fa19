//! What each endpoint may change: the main resource everything but status, `status` nothing but it.

use serde_json::{Map, Value};

use super::json::object;

/// For a create: no status from clients; objects with a desired state start at generation 1.
pub(super) fn create(new: &mut Value) {
    clear_status(new);
    start_generation(new);
}

/// Removes what a client wrote into status, leaving it empty, as upstream's types do.
pub(super) fn clear_status(new: &mut Value) {
    if let Some(map) = new.as_object_mut() {
        map.insert("status".to_owned(), Value::Object(Map::new()));
    }
}

/// Generation 1.
pub(super) fn start_generation(new: &mut Value) {
    if let Some(metadata) = object(new, "metadata") {
        metadata.insert("generation".to_owned(), Value::from(1));
    }
}

/// The usual update of a kind with `spec` and `status`: generation grows when the desired state changes.
pub(super) fn update(subresource: Option<&str>, old: &Value, new: &mut Value) {
    without_generation(subresource, old, new);
    generation(old, new);
}

/// As [`update`], for kinds that have no generation.
pub(super) fn without_generation(subresource: Option<&str>, old: &Value, new: &mut Value) {
    match subresource {
        Some("status") => keep(old, new, "spec"),
        _ => keep(old, new, "status"),
    }
}

/// Status writers may not move labels of workloads.
pub(super) fn keep_labels(old: &Value, new: &mut Value) {
    keep_metadata(old, new, &["labels"]);
}

/// Writers of the status of newer kinds change no metadata (`ResetObjectMetaForStatus`).
pub(super) fn keep_metadata_of_status(old: &Value, new: &mut Value) {
    let fields = [
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "generation",
    ];
    keep_metadata(old, new, &fields);
}

/// Restores these fields of the metadata.
pub(super) fn keep_metadata(old: &Value, new: &mut Value, fields: &[&str]) {
    let Some(metadata) = object(new, "metadata") else {
        return;
    };
    for field in fields {
        match old["metadata"].get(field) {
            Some(value) => drop(metadata.insert((*field).to_owned(), value.clone())),
            None => drop(metadata.remove(*field)),
        }
    }
}

/// Restores a top-level field.
pub(super) fn keep(old: &Value, new: &mut Value, field: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => drop(map.insert(field.to_owned(), value.clone())),
        None => drop(map.remove(field)),
    }
}

/// Sets the generation: the old one, or one more if `spec` differs.
pub(super) fn generation(old: &Value, new: &mut Value) {
    generation_of("spec", old, new);
}

/// As [`generation`], for what is desired in this field.
pub(super) fn generation_of(field: &str, old: &Value, new: &mut Value) {
    let before = old.pointer("/metadata/generation").and_then(Value::as_i64);
    let changed = old.get(field) != new.get(field);
    let Some(before) = before.or(changed.then_some(0)) else {
        return;
    };
    if let Some(metadata) = object(new, "metadata") {
        metadata.insert("generation".to_owned(), Value::from(before + i64::from(changed)));
    }
}
