//! Secrets.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::names::IMMUTABLE;
use keelson_api::status::FieldError;
use serde_json::{Map, Value};

use super::config_map::{MAX_SIZE, immutable, keys};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, set_zero, text};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Type",
        "string",
        0,
        "Used to facilitate programmatic handling of secret data.",
    ),
    ("Data", "string", 0, "Data contains the secret data."),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Secret", "secrets", COLUMNS, Secret).done()
}

#[derive(Debug)]
struct Secret;

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        set_zero(map, "type", "Opaque");
        // stringData is write-only: it ends up in data.
        if let Some(Value::Object(plain)) = map.remove("stringData") {
            let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
            if data.is_null() {
                *data = Value::Object(Map::new());
            }
            if let Some(data) = data.as_object_mut() {
                for (key, value) in plain {
                    let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
                    data.insert(key, Value::from(encoded));
                }
            }
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(object)
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if old.get("type") != new.get("type") {
            errors.push(FieldError::invalid("type", text(new, "/type"), IMMUTABLE));
        }
        errors.extend(immutable(old, new, &["data"]));
        errors.extend(validate(new));
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        BTreeMap::from([("type".to_owned(), text(object, "/type").to_owned())])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(text(object, "/type")),
            Value::from(entries(object, "/data").count()),
            cells::age(object, now),
        ]
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = keys(object, "data");
    let size: usize = entries(object, "/data")
        .map(|(_, value)| value.as_str().map_or(0, str::len) / 4 * 3)
        .sum();
    if size > MAX_SIZE {
        errors.push(FieldError::too_long("data", MAX_SIZE));
    }
    let data = |key: &str| object.get("data").and_then(|data| data.get(key));
    let mut need = |key: &str| {
        if data(key).is_none() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    };
    match text(object, "/type") {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            let account = object
                .pointer("/metadata/annotations")
                .and_then(|all| all.get(annotation));
            if account.and_then(Value::as_str).unwrap_or_default().is_empty() {
                errors.push(FieldError::required(
                    format!("metadata.annotations[{annotation}]"),
                    "",
                ));
            }
        }
        kind @ ("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson") => {
            // The key is the type's last part, with a dot before it.
            let key = kind.replace("kubernetes.io/", ".");
            need(&key);
            if let Some(encoded) = data(&key).and_then(Value::as_str) {
                let decoded = STANDARD.decode(encoded).unwrap_or_default();
                if let Err(error) = serde_json::from_slice::<Option<Map<String, Value>>>(&decoded) {
                    errors.push(FieldError::invalid(
                        format!("data[{key}]"),
                        "<secret contents redacted>",
                        &error.to_string(),
                    ));
                }
            }
        }
        "kubernetes.io/basic-auth" if data("username").is_none() && data("password").is_none() => {
            errors.push(FieldError::required("data[username]", ""));
            errors.push(FieldError::required("data[password]", ""));
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(|key| key == "") => {
            errors.push(FieldError::required("data[ssh-privatekey]", ""));
        }
        "kubernetes.io/tls" => {
            need("tls.crt");
            need("tls.key");
        }
        _ => {}
    }
    errors
}
