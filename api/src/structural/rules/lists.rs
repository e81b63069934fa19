//! `x-kubernetes-list-type`, `-list-map-keys` and `-map-type`.

use std::collections::HashSet;

use serde_json::Value;

use crate::status::FieldError;
use crate::structural::child;
use crate::structural::read::{text, texts};

/// Most keys of a list: each is looked for in each item. Upstream has no limit; one or two are usual.
const MOST_KEYS: usize = 64;
const KEYS: &str = "x-kubernetes-list-map-keys";
const LIST: &str = "x-kubernetes-list-type";
const MAP: &str = "x-kubernetes-map-type";

/// Why the items of a set are refused; definitions that are older than this rule are let be.
pub const ATOMIC_ITEMS: &str = "must be atomic as item of a list with x-kubernetes-list-type=set";

pub(super) fn check(path: &str, schema: &Value, errors: &mut Vec<FieldError>) {
    let at = |field: &str| child(path, field);
    let (kind, list, map) = (text(schema, "type"), text(schema, LIST), text(schema, MAP));
    let keys = texts(&schema[KEYS]);
    if schema[LIST].is_string() {
        if kind != "array" {
            let why = format!("must be array if {LIST} is specified");
            errors.push(if kind.is_empty() {
                FieldError::required(at("type"), &why)
            } else {
                FieldError::invalid(at("type"), kind, &why)
            });
        }
        if !matches!(list, "atomic" | "set" | "map") {
            errors.push(FieldError::not_supported(
                at(LIST),
                list,
                &["atomic", "set", "map"],
            ));
        }
    }
    if list == "set" && kind == "array" {
        of_set(path, &schema["items"], errors);
    }
    if !keys.is_empty() && list != "map" {
        let why = format!("must be map if {KEYS} is non-empty");
        errors.push(if list.is_empty() {
            FieldError::required(at(LIST), &why)
        } else {
            FieldError::invalid(at(LIST), list, &why)
        });
    }
    if list == "map" {
        of_map(path, schema, &keys, errors);
    }
    if list == "set" && schema["items"]["nullable"] == true {
        let why = format!("cannot be nullable when {LIST} is set");
        errors.push(FieldError::forbidden(at("items.nullable"), &why));
    }
    if schema[MAP].is_string() {
        if kind != "object" {
            let why = format!("must be object if {MAP} is specified");
            errors.push(if kind.is_empty() {
                FieldError::required(at("type"), &why)
            } else {
                FieldError::invalid(at("type"), kind, &why)
            });
        }
        if !matches!(map, "atomic" | "granular") {
            errors.push(FieldError::not_supported(at(MAP), map, &["atomic", "granular"]));
        }
    }
}

/// Items of a set are compared as a whole, so they must be atomic.
fn of_set(path: &str, items: &Value, errors: &mut Vec<FieldError>) {
    let wrong = match text(items, "type") {
        "array" if items[LIST].is_string() && items[LIST] != "atomic" => LIST,
        "object" if items[MAP] != "atomic" => MAP,
        _ => return,
    };
    let at = child(&child(path, "items"), wrong);
    errors.push(FieldError::invalid(at, items[wrong].clone(), ATOMIC_ITEMS));
}

fn of_map(path: &str, schema: &Value, keys: &[String], errors: &mut Vec<FieldError>) {
    let at = |field: &str| child(path, field);
    if keys.is_empty() {
        let why = format!("must not be empty if {LIST} is map");
        errors.push(FieldError::required(at(KEYS), &why));
    }
    let items = &schema["items"];
    if !items.is_object() {
        let why = format!("must have a schema if {LIST} is map");
        errors.push(FieldError::required(at("items"), &why));
        return;
    }
    if items["nullable"] == true {
        let why = format!("cannot be nullable when {LIST} is map");
        errors.push(FieldError::forbidden(at("items.nullable"), &why));
    }
    let kind = text(items, "type");
    if kind != "object" {
        let why = format!("must be object if parent array's {LIST} is map");
        errors.push(FieldError::invalid(at("items.type"), kind, &why));
    }
    if keys.len() > MOST_KEYS {
        errors.push(FieldError::too_many(at(KEYS), keys.len(), MOST_KEYS));
        return;
    }
    let required: HashSet<&str> = (items["required"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().take(index).any(|other| other == key) {
            errors.push(FieldError::duplicate(
                format!("{}[{index}]", at(KEYS)),
                key.as_str(),
            ));
        }
        let Some(property) = items["properties"].get(key) else {
            let why = "entries must all be names of item properties";
            errors.push(FieldError::invalid(at(KEYS), schema[KEYS].clone(), why));
            continue;
        };
        let property_at = format!("{path}.items.properties[{key}]");
        if matches!(text(property, "type"), "array" | "object") {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(
                format!("{property_at}.type"),
                text(property, "type"),
                why,
            ));
        }
        if property["nullable"] == true {
            let why = format!("this property is in {KEYS}, so it cannot be nullable");
            errors.push(FieldError::forbidden(format!("{property_at}.nullable"), &why));
        }
        if !required.contains(key.as_str()) && property.get("default").is_none_or(Value::is_null) {
            let why =
                format!("this property is in {KEYS}, so it must have a default or be a required property");
            errors.push(FieldError::required(format!("{property_at}.default"), &why));
        }
    }
}
