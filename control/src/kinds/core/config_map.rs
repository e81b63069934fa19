//! ConfigMaps.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, is_true};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Data", "string", 0, "Data contains the configuration data."),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "ConfigMap", "configmaps", COLUMNS, ConfigMap)
        .short(&["cm"])
        .done()
}

#[derive(Debug)]
struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(object)
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = immutable(old, new, &["data", "binaryData"]);
        errors.extend(validate(new));
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let count = entries(object, "/data").count() + entries(object, "/binaryData").count();
        vec![cells::name(object), Value::from(count), cells::age(object, now)]
    }
}

/// Once `immutable` is set, it stays, and so do the fields.
pub(super) fn immutable(old: &Value, new: &Value, fields: &[&str]) -> Vec<FieldError> {
    const TEXT: &str = "field is immutable when `immutable` is set";
    if !is_true(old, "/immutable") {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if !is_true(new, "/immutable") {
        errors.push(FieldError::forbidden("immutable", TEXT));
    }
    for field in fields {
        if old.get(*field) != new.get(*field) {
            errors.push(FieldError::forbidden(*field, TEXT));
        }
    }
    errors
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = keys(object, "data");
    let mut size = 0;
    for (key, value) in entries(object, "/data") {
        if object
            .pointer("/binaryData")
            .is_some_and(|binary| binary.get(key).is_some())
        {
            let path = format!("data[{key}]");
            errors.push(FieldError::invalid(
                path,
                key.as_str(),
                "duplicate of key present in binaryData",
            ));
        }
        size += value.as_str().map_or(0, str::len);
    }
    errors.extend(keys(object, "binaryData"));
    for (_, value) in entries(object, "/binaryData") {
        size += value.as_str().map_or(0, str::len) / 4 * 3;
    }
    if size > MAX_SIZE {
        // Upstream's path of the whole object.
        errors.push(FieldError::too_long("[]", MAX_SIZE));
    }
    errors
}

/// Bytes of data that a ConfigMap or a Secret may hold.
pub(super) const MAX_SIZE: usize = 1024 * 1024;

/// Complaints about the keys of a field.
pub(super) fn keys(object: &Value, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, _) in object.get(field).and_then(Value::as_object).into_iter().flatten() {
        errors.extend(FieldError::complaints(
            format_args!("{field}[{key}]"),
            key.as_str(),
            keelson_api::names::config_map_key(key),
        ));
    }
    errors
}
