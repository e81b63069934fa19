//! Storage classes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::GROUP;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, is_true, is_unset, items, set_default, text};
use crate::kinds::{Kind, Strategy, cells};

const CLASS: &[ColumnDef] = &[
    NAME,
    (
        "Provisioner",
        "string",
        0,
        "provisioner indicates the type of the provisioner.",
    ),
    (
        "ReclaimPolicy",
        "string",
        0,
        "reclaimPolicy controls what becomes of dynamically provisioned volumes.",
    ),
    (
        "VolumeBindingMode",
        "string",
        0,
        "volumeBindingMode indicates how volumes should be provisioned and bound.",
    ),
    (
        "AllowVolumeExpansion",
        "string",
        0,
        "allowVolumeExpansion shows whether the storage class allows volume expand.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind(GROUP, "StorageClass", "storageclasses", CLASS, Class)
        .cluster()
        .short(&["sc"])
        .done()
}

/// Most parameters of a class, and most bytes of all of them.
const MOST_PARAMETERS: usize = 512;
const MOST_BYTES: usize = 256 << 10;

#[derive(Debug)]
struct Class;

const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

impl Strategy for Class {
    fn default(&self, class: &mut Value) {
        if let Some(map) = class.as_object_mut() {
            set_default(map, "reclaimPolicy", "Delete");
            set_default(map, "volumeBindingMode", "Immediate");
        }
    }

    fn validate_create(&self, class: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let provisioner = text(class, "/provisioner");
        if provisioner.is_empty() {
            errors.push(FieldError::required("provisioner", ""));
        } else {
            errors.extend(FieldError::complaints(
                "provisioner",
                provisioner,
                names::qualified_name(&provisioner.to_lowercase()),
            ));
        }
        parameters(&mut errors, class);
        for (field, allowed) in [
            ("reclaimPolicy", ["Delete", "Retain"]),
            ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            let value = text(class, &format!("/{field}"));
            // Upstream takes an empty policy for reclaiming.
            let unset = field == "reclaimPolicy" && value.is_empty();
            if !unset && !allowed.contains(&value) {
                errors.push(FieldError::not_supported(field, value, &allowed));
            }
        }
        topologies(&mut errors, class);
        errors
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = self.validate_create(new);
        for field in ["provisioner", "parameters", "reclaimPolicy"] {
            let (was, is) = (old.get(field), new.get(field));
            if was != is && !(is_unset(was) && is_unset(is)) {
                let detail = format!("updates to {field} are forbidden.");
                errors.push(FieldError::forbidden(field, &detail));
            }
        }
        let mode = text(new, "/volumeBindingMode");
        if text(old, "/volumeBindingMode") != mode {
            errors.push(FieldError::invalid("volumeBindingMode", mode, names::IMMUTABLE));
        }
        errors
    }

    fn row(&self, class: &Value, now: i64) -> Vec<Value> {
        let annotations = class.pointer("/metadata/annotations").and_then(Value::as_object);
        let is = |annotation: &&str| {
            annotations.is_some_and(|all| all.get(*annotation).is_some_and(|v| v == "true"))
        };
        let default = DEFAULT_CLASS.iter().any(is);
        let name = text(class, "/metadata/name");
        vec![
            Value::from(if default {
                format!("{name} (default)")
            } else {
                name.to_owned()
            }),
            Value::from(text(class, "/provisioner")),
            cells::text_or(class, "/reclaimPolicy", "<unset>"),
            cells::text_or(class, "/volumeBindingMode", "<unset>"),
            Value::from(is_true(class, "/allowVolumeExpansion")),
            cells::age(class, now),
        ]
    }
}

/// What the driver is told (`validateParameters`).
fn parameters(errors: &mut Vec<FieldError>, class: &Value) {
    if entries(class, "/parameters").count() > MOST_PARAMETERS {
        errors.push(FieldError::too_long("parameters", MOST_PARAMETERS));
        return;
    }
    let mut size = 0;
    for (key, value) in entries(class, "/parameters") {
        if key.is_empty() {
            let detail = "field can not be empty.";
            errors.push(FieldError::invalid("parameters", key.as_str(), detail));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MOST_BYTES {
        errors.push(FieldError::too_long("parameters", MOST_BYTES));
    }
}

/// Where volumes of a class may be (`validateAllowedTopologies`).
fn topologies(errors: &mut Vec<FieldError>, class: &Value) {
    // What the terms so far say. Upstream takes one that says nothing for one that was there before.
    let mut terms = HashSet::from([BTreeMap::new()]);
    for (index, term) in items(class, "/allowedTopologies").iter().enumerate() {
        let mut keys = BTreeMap::new();
        for (at, requirement) in items(term, "/matchLabelExpressions").iter().enumerate() {
            let path = format!("allowedTopologies[{index}].matchLabelExpressions[{at}]");
            let (key, values) = (text(requirement, "/key"), items(requirement, "/values"));
            if values.is_empty() {
                errors.push(FieldError::required(format!("{path}.values"), ""));
            }
            let mut seen = HashSet::new();
            for (at, value) in values.iter().filter_map(Value::as_str).enumerate() {
                if !seen.insert(value) {
                    errors.push(FieldError::duplicate(format!("{path}.values[{at}]"), value));
                }
            }
            errors.extend(FieldError::complaints(
                format_args!("{path}.key"),
                key,
                names::qualified_name(key),
            ));
            let values: BTreeSet<&str> = seen.into_iter().collect();
            if keys.insert(key, values).is_some() {
                errors.push(FieldError::duplicate(format!("{path}.key"), key));
            }
        }
        if !terms.insert(keys) {
            let path = format!("allowedTopologies[{index}].matchLabelExpressions");
            errors.push(FieldError::duplicate(path, ""));
        }
    }
}
