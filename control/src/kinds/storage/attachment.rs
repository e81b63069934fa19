//! Attachments of volumes to nodes.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::GROUP;
use crate::kinds::core::inline_volume;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, is_true, object_or_new, set_default, text};
use crate::kinds::podspec::sources::driver_name;
use crate::kinds::{Kind, Strategy, cells, update};

const ATTACHMENT: &[ColumnDef] = &[
    NAME,
    (
        "Attacher",
        "string",
        0,
        "attacher indicates the name of the volume driver that MUST handle this request.",
    ),
    (
        "PV",
        "string",
        0,
        "source represents the volume that should be attached.",
    ),
    (
        "Node",
        "string",
        0,
        "nodeName represents the node that the volume should be attached to.",
    ),
    (
        "Attached",
        "boolean",
        0,
        "attached indicates the volume is successfully attached.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind(
        GROUP,
        "VolumeAttachment",
        "volumeattachments",
        ATTACHMENT,
        Attachment,
    )
    .cluster()
    .status()
    .done()
}

#[derive(Debug)]
struct Attachment;

impl Strategy for Attachment {
    fn default(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut()
            && let Some(status) = object_or_new(map, "status")
        {
            set_default(status, "attached", false);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = serde_json::json!({"attached": false});
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
        if subresource == Some("status") {
            update::keep_metadata_of_status(old, new);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        driver_name(
            &mut errors,
            text(object, "/spec/attacher"),
            format_args!("spec.attacher"),
        );
        check_spec(&mut errors, object);
        if let Some(name) = object["spec"]["source"]["persistentVolumeName"].as_str() {
            errors.extend(FieldError::complaints(
                "spec.source.persistentVolumeName",
                name,
                names::dns1123_subdomain(name),
            ));
        }
        errors
    }

    /// Names are not looked at again: v1 has stricter rules for them than its predecessors had.
    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if text(new, "/spec/attacher").is_empty() {
            errors.push(FieldError::required("spec.attacher", ""));
        }
        check_spec(&mut errors, new);
        // What was stored with a longer story may still lose its finalizer.
        if old.get("status") != new.get("status") {
            check_status(&mut errors, new);
        }
        if old.get("spec") != new.get("spec") {
            let spec = new.get("spec").cloned().unwrap_or_default();
            errors.push(FieldError::invalid("spec", spec, "field is immutable"));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(text(object, "/spec/attacher")),
            Value::from(text(object, "/spec/source/persistentVolumeName")),
            Value::from(text(object, "/spec/nodeName")),
            Value::from(is_true(object, "/status/attached")),
            cells::age(object, now),
        ]
    }
}

/// Most bytes of what an attacher says of an attachment, and of an error.
const MOST_METADATA: usize = 256 << 10;
const LONGEST_ERROR: usize = 1024;

/// Complaints about the status: it has what nodes ask for, and no long stories.
fn check_status(errors: &mut Vec<FieldError>, object: &Value) {
    let metadata = entries(object, "/status/attachmentMetadata");
    let size: usize = metadata
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MOST_METADATA {
        errors.push(FieldError::too_long("status.attachmentMetadata", MOST_METADATA));
    }
    for field in ["attachError", "detachError"] {
        if text(object, &format!("/status/{field}/message")).len() > LONGEST_ERROR {
            // Upstream tells the other limit.
            let path = format!("status.{field}.message");
            errors.push(FieldError::too_long(path, MOST_METADATA));
        }
    }
}

/// Complaints about the spec, but for how the names in it look.
fn check_spec(errors: &mut Vec<FieldError>, object: &Value) {
    let (volume, inline) = (
        object.pointer("/spec/source/persistentVolumeName"),
        object.pointer("/spec/source/inlineVolumeSpec"),
    );
    match (
        volume.and_then(Value::as_str),
        inline.is_some_and(Value::is_object),
    ) {
        (None, false) => errors.push(FieldError::required(
            "spec.source",
            "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        )),
        (Some(_), true) => errors.push(FieldError::forbidden(
            "spec.source",
            "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        )),
        (Some(name), false) => {
            if name.is_empty() {
                errors.push(FieldError::required(
                    "spec.source.persistentVolumeName",
                    "must specify non empty persistentVolumeName",
                ));
            }
        }
        (None, true) => {
            let spec = inline.unwrap_or(&Value::Null);
            errors.extend(inline_volume(spec, "spec.source.inlineVolumeSpec"));
        }
    }
    let node = text(object, "/spec/nodeName");
    errors.extend(FieldError::complaints(
        "spec.nodeName",
        node,
        names::dns1123_subdomain(node),
    ));
}
