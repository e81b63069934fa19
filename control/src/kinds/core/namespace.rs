//! Namespaces: the finalizer in their spec keeps them until their content is gone.

use std::collections::BTreeMap;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object, object_or_new, text};
use crate::kinds::metadata::check_finalizer_owner;
use crate::kinds::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[NAME, ("Status", "string", 0, "The status of the namespace"), AGE];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Namespace", "namespaces", COLUMNS, Namespace)
        .cluster()
        .short(&["ns"])
        .verbs(describe::NO_COLLECTION)
        .status()
        .same("finalize", &["update"])
        .done()
}

#[derive(Debug)]
struct Namespace;

impl Strategy for Namespace {
    fn default(&self, object: &mut Value) {
        let name = text(object, "/metadata/name").to_owned();
        let Some(map) = object.as_object_mut() else { return };
        if !name.is_empty()
            && let Some(metadata) = object_or_new(map, "metadata")
            && let Some(labels) = object_or_new(metadata, "labels")
        {
            labels.insert("kubernetes.io/metadata.name".to_owned(), Value::from(name));
        }
        object_or_new(map, "spec");
        if let Some(status) = object_or_new(map, "status") {
            super::super::json::set_zero(status, "phase", "Active");
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"phase": "Active"});
        if !items(new, "/spec/finalizers")
            .iter()
            .any(|finalizer| finalizer == "kubernetes")
            && let Some(spec) = object(new, "spec")
        {
            let list = spec.entry("finalizers").or_insert_with(|| json!([]));
            if !list.is_array() {
                *list = json!([]);
            }
            if let Some(list) = list.as_array_mut() {
                list.push(Value::from("kubernetes"));
            }
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        match subresource {
            // Only `finalize` may change the finalizers in spec.
            Some("finalize") => update::keep(old, new, "status"),
            Some(_) => update::keep(old, new, "spec"),
            None => {
                update::keep(old, new, "spec");
                update::keep(old, new, "status");
            }
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        finalizers(object, |_| "spec.finalizers".to_owned())
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        match subresource {
            Some("finalize") => finalizers(new, |index| format!("spec.finalizers[{index}]")),
            Some("status") => status(new),
            _ => Vec::new(),
        }
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        let phase = text(object, "/status/phase").to_owned();
        BTreeMap::from([("status.phase".to_owned(), phase)])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["status.phase"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(text(object, "/status/phase")),
            cells::age(object, now),
        ]
    }
}

/// Complaints about the finalizers of a spec, with the path of each.
fn finalizers(namespace: &Value, path: impl Fn(usize) -> String) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, finalizer) in items(namespace, "/spec/finalizers").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let (finalizer, path) = (finalizer.as_str().unwrap_or_default(), path(index));
        errors.extend(FieldError::complaints(
            &path,
            finalizer,
            names::qualified_name(finalizer),
        ));
        check_finalizer_owner(&mut errors, finalizer, &path);
    }
    errors
}

/// A namespace is terminating when it has been deleted, and only then.
fn status(namespace: &Value) -> Vec<FieldError> {
    let phase = text(namespace, "/status/phase");
    let (wanted, detail) = if text(namespace, "/metadata/deletionTimestamp").is_empty() {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    } else {
        (
            "Terminating",
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        )
    };
    if phase == wanted {
        return Vec::new();
    }
    vec![FieldError::invalid("status.Phase", phase, detail)]
}
