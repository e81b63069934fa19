//! What all objects share: names, labels, annotations, owners, finalizers (`ValidateObjectMeta`).

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS, go_quote};
use serde_json::Value;

use super::json::{int, items, text};
use super::{Kind, object_names};

/// Bytes that all annotations together may take.
pub(super) const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Complaints about a new object, after the strategy's preparation. Whether its name can stand in a path is only looked
/// at when nothing else is wrong (`BeforeCreate`).
pub fn validate_create(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let mut errors = validate_metadata(kind, object);
    errors.extend(kind.strategy.validate_create(object));
    if errors.is_empty() {
        object_names::check_path(&mut errors, object);
    }
    errors
}

/// Complaints about `metadata` of a new object. Virtual kinds (reviews) have no such rules.
pub(super) fn validate_metadata(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    object_names::check_new(&mut errors, kind, object);
    validate_rest(&mut errors, kind, object);
    errors
}

/// Complaints about what is in `metadata` beside the names, of new and of changed objects.
fn validate_rest(errors: &mut Vec<FieldError>, kind: &Kind, object: &Value) {
    let namespace = text(object, "/metadata/namespace");
    if kind.namespaced {
        if namespace.is_empty() {
            errors.push(FieldError::required("metadata.namespace", ""));
        } else {
            errors.extend(FieldError::complaints(
                "metadata.namespace",
                namespace,
                names::dns1123_label(namespace),
            ));
        }
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    if let Some(generation) = int(object, "/metadata/generation").filter(|number| *number < 0) {
        let path = "metadata.generation";
        errors.push(FieldError::invalid(path, generation, names::NON_NEGATIVE));
    }
    check_labels(errors, object.pointer("/metadata/labels"), "metadata.labels");
    check_annotations(
        errors,
        object.pointer("/metadata/annotations"),
        "metadata.annotations",
    );
    check_owners(errors, object);
    check_finalizers(errors, object, !takes_plain_finalizers(kind));
}

/// Whether finalizers without a domain are let in: upstream's servers for definitions, custom resources and APIServices do,
/// and so do those of its own kinds that are checked by the rules of all servers (`apimachinery/pkg/api/validation`) and
/// not by those of the core group.
fn takes_plain_finalizers(kind: &Kind) -> bool {
    kind.custom.is_some()
        || matches!(
            (kind.group.as_ref(), kind.plural.as_ref()),
            (
                "admissionregistration.k8s.io"
                    | "apiextensions.k8s.io"
                    | "apiregistration.k8s.io"
                    | "coordination.k8s.io"
                    | "node.k8s.io",
                _
            ) | ("", "events")
                | ("policy", "poddisruptionbudgets")
        )
}

/// Warnings about finalizers of a custom resource that are new in it.
pub fn finalizer_warnings(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    if kind.custom.is_none() {
        return Vec::new();
    }
    let known = old.map_or(&[][..], |old| items(old, "/metadata/finalizers"));
    let known: HashSet<&str> = known.iter().filter_map(Value::as_str).collect();
    let mut added: Vec<&str> = items(new, "/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .filter(|finalizer| !known.contains(finalizer))
        .filter(|finalizer| !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer))
        .collect();
    added.sort_unstable();
    added.dedup();
    let warning = |finalizer: &str| {
        format!(
            "metadata.finalizers: {}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental \
             conflicts with other finalizer writers",
            go_quote(finalizer)
        )
    };
    added.into_iter().map(warning).collect()
}

/// Complaints about a change of `metadata`, that of an object or of its subresource: about what never changes
/// (`ValidateObjectMetaUpdate`), and about what is there now.
pub(super) fn validate_metadata_update(
    kind: &Kind,
    part: Option<&str>,
    old: &Value,
    new: &Value,
) -> Vec<FieldError> {
    let mut errors = unchanging(old, new);
    object_names::check_changed(&mut errors, kind, part, new);
    validate_rest(&mut errors, kind, new);
    errors
}

fn unchanging(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !text(old, "/metadata/deletionTimestamp").is_empty() {
        let finalizers = |object| -> BTreeSet<&str> {
            items(object, "/metadata/finalizers")
                .iter()
                .filter_map(Value::as_str)
                .collect()
        };
        let (before, after) = (finalizers(old), finalizers(new));
        let added: Vec<String> = after.difference(&before).map(|text| go_quote(text)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &detail));
        }
    }
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        let pointer = format!("/metadata/{field}");
        if text(old, &pointer) != text(new, &pointer) {
            errors.push(FieldError::invalid(
                format!("metadata.{field}"),
                text(new, &pointer),
                names::IMMUTABLE,
            ));
        }
    }
    // The server keeps what is there; what is not, only a delete sets.
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        let of = |object: &Value| object["metadata"].get(field).cloned().unwrap_or_default();
        let is = of(new);
        if of(old).is_null() && !is.is_null() {
            let path = format!("metadata.{field}");
            errors.push(match is.as_str() {
                Some(time) => FieldError::invalid_shown(path, &go_time(time), names::IMMUTABLE),
                None => FieldError::invalid(path, is, names::IMMUTABLE),
            });
        }
    }
    errors
}

/// A time as Go prints it, `2026-01-01 00:00:00 +0000 UTC`.
fn go_time(time: &str) -> String {
    format!("{} +0000 UTC", time.trim_end_matches('Z').replacen('T', " ", 1))
}

/// Checks a map of labels.
pub(super) fn check_labels(errors: &mut Vec<FieldError>, labels: Option<&Value>, path: impl Display + Copy) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        errors.extend(FieldError::complaints(
            path,
            key.as_str(),
            names::qualified_name(key),
        ));
        let value = value.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(path, value, names::label_value(value)));
    }
}

/// Checks a map of annotations: any text, but limited in size.
pub(super) fn check_annotations(
    errors: &mut Vec<FieldError>,
    annotations: Option<&Value>,
    path: impl Display + Copy,
) {
    let mut size = 0;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        errors.extend(FieldError::complaints(
            path,
            key.as_str(),
            names::qualified_name(&key.to_lowercase()),
        ));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
}

fn check_owners(errors: &mut Vec<FieldError>, object: &Value) {
    let mut controllers: Vec<&str> = Vec::new();
    for (index, owner) in items(object, "/metadata/ownerReferences").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let path = format!("metadata.ownerReferences[{index}]");
        for (field, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(owner, &format!("/{field}")).is_empty() {
                errors.push(FieldError::invalid(format!("{path}.{field}"), "", detail));
            }
        }
        if text(owner, "/apiVersion") == "v1" && text(owner, "/kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(path.as_str(), owner.clone(), detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            controllers.push(text(owner, "/name"));
        }
    }
    // Told of the first two only, as all references are shown.
    if let [first, second, ..] = controllers[..] {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        let all = object
            .pointer("/metadata/ownerReferences")
            .cloned()
            .unwrap_or_default();
        errors.push(FieldError::invalid("metadata.ownerReferences", all, &detail));
    }
}

/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

/// Checks that a finalizer says whose it is: plain words are reserved for Kubernetes itself.
pub(super) fn check_finalizer_owner(errors: &mut Vec<FieldError>, finalizer: &str, path: &str) {
    if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(FieldError::invalid(path, finalizer, detail));
    }
}

fn check_finalizers(errors: &mut Vec<FieldError>, object: &Value, owned: bool) {
    let (mut orphan, mut foreground) = (false, false);
    for (index, finalizer) in items(object, "/metadata/finalizers").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let finalizer = finalizer.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(
            "metadata.finalizers",
            finalizer,
            names::qualified_name(finalizer),
        ));
        if owned {
            check_finalizer_owner(errors, finalizer, &format!("metadata.finalizers[{index}]"));
        }
        orphan |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphan && foreground {
        let all = object
            .pointer("/metadata/finalizers")
            .cloned()
            .unwrap_or_default();
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid("metadata.finalizers", all, detail));
    }
}

/// Checks a port that is a number or the name of a container's port.
pub(super) fn check_port_or_name(errors: &mut Vec<FieldError>, port: Option<&Value>, path: &str) {
    match port {
        Some(Value::String(name)) => {
            errors.extend(FieldError::complaints(
                path,
                name.as_str(),
                names::port_name(name),
            ));
        }
        other => {
            let number = other.and_then(Value::as_i64).unwrap_or(0);
            errors.extend(FieldError::complaints(path, number, names::port_number(number)));
        }
    }
}
