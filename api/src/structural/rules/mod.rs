//! What a definition's schema may say. Two passes, as upstream has them: what no schema may have, then what makes it
//! structural; the second is not told while the first has complaints.
//!
//! Source: `apiextensions/validation.ValidateCustomResourceDefinitionOpenAPISchema` and
//! `apiserver/schema.ValidateStructural`, and their texts.

mod lists;
mod nested;
mod patterns;
#[cfg(test)]
mod tests;
mod validations;

use serde_json::{Map, Value};

pub use lists::ATOMIC_ITEMS;

use super::read::{kind_of, text};
use super::validate::STEPS;
use super::{Structural, child, defaults};
use crate::depth;
use crate::status::FieldError;

/// Most complaints that are told.
const MOST: usize = 100;
/// Most that are looked for: of them, the first in order are told.
const ENOUGH: usize = 10 * MOST;
/// Longest name that is shown in full.
const LONGEST_NAME: usize = 512;
/// Most parts of a schema: bounds what is built of it.
const MOST_PARTS: usize = 100_000;
/// Names of types, as errors list them.
const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// Where a part of a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Complaints about an `openAPIV3Schema` at a path.
pub fn check(path: &str, schema: &Value) -> Vec<FieldError> {
    let (deepest, _) = depth::measure(schema);
    if deepest > depth::MAX_DEPTH {
        return vec![FieldError::invalid_shown(
            path,
            "\"schema\"",
            "is nested too deeply",
        )];
    }
    let mut parts = 0;
    count(schema, &mut parts);
    if parts > MOST_PARTS {
        return vec![FieldError::too_many(path, parts, MOST_PARTS)];
    }
    let mut errors = Vec::new();
    if schema["nullable"] == true {
        let why = "nullable cannot be true at the root";
        errors.push(FieldError::forbidden(child(path, "nullable"), why));
    }
    forbidden(path, schema, &mut errors);
    if errors.is_empty() {
        structural(path, schema, Level::Root, &mut errors);
        patterns::Patterns::default().check(path, schema, &mut errors);
        nested::complete(path, schema, path, schema, &mut errors);
        errors.sort_by_cached_key(ToString::to_string);
    }
    if errors.is_empty() && names_its_schema(schema) {
        // Upstream finds it when it builds what objects are checked with, and does not say where.
        errors.push(FieldError::invalid(
            path,
            "",
            "OpenAPIV3Schema 'schema' is not supported",
        ));
    }
    if errors.is_empty() {
        let mut allowance = Allowance {
            steps: STEPS,
            bytes: defaults::MOST,
        };
        defaults(
            path,
            schema,
            &Structural::read(schema),
            &mut allowance,
            &mut errors,
        );
    }
    if errors.len() > MOST {
        errors.truncate(MOST);
        let last = errors.pop().map(FieldError::unfinished);
        errors.extend(last);
    }
    errors
}

fn count(value: &Value, parts: &mut usize) {
    *parts += 1;
    match value {
        Value::Object(map) => map.values().for_each(|value| count(value, parts)),
        Value::Array(list) => list.iter().for_each(|value| count(value, parts)),
        _ => {}
    }
}

/// The schemas inside of a schema, with their paths.
fn parts<'a>(path: &str, schema: &'a Value) -> impl Iterator<Item = (String, &'a Value)> {
    let single = ["items", "not", "additionalProperties"].into_iter();
    let single = single
        .filter(|name| schema[*name].is_object())
        .map(move |name| (child(path, name), &schema[name]));
    let listed = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(move |name| {
        let parts = schema[name].as_array().into_iter().flatten().enumerate();
        parts.map(move |(index, part)| (format!("{}[{index}]", child(path, name)), part))
    });
    let properties = schema["properties"].as_object().into_iter().flatten();
    single
        .chain(listed)
        .chain(properties.map(move |(name, part)| (property(path, name), part)))
}

/// The path of a property. Of a name that is much too long, the beginning: it stands in the paths of all that is below.
fn property(path: &str, name: &str) -> String {
    let shown = name
        .get(..name.floor_char_boundary(LONGEST_NAME))
        .unwrap_or_default();
    format!("{path}.properties[{shown}]")
}

/// What no schema may have.
fn forbidden(path: &str, schema: &Value, errors: &mut Vec<FieldError>) {
    if errors.len() > ENOUGH {
        return;
    }
    let mut forbid = |field: &str, why: &str| errors.push(FieldError::forbidden(child(path, field), why));
    if schema["uniqueItems"] == true {
        forbid(
            "uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    let additional = &schema["additionalProperties"];
    let has_properties = schema["properties"]
        .as_object()
        .is_some_and(|map| !map.is_empty());
    if *additional == false {
        forbid(
            "additionalProperties",
            "additionalProperties cannot be set to false",
        );
    } else if !additional.is_null() && has_properties {
        forbid(
            "additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        );
    }
    for field in ["definitions", "dependencies", "patternProperties"] {
        if schema[field].as_object().is_some_and(|map| !map.is_empty()) {
            forbid(field, &format!("{field} is not supported"));
        }
    }
    for field in ["additionalItems", "$ref", "id"] {
        let empty = schema[field].is_null() || schema[field] == "";
        if !empty {
            forbid(field, &format!("{field} is not supported"));
        }
    }
    if schema["items"].is_array() {
        forbid("items", "items must be a schema object and not an array");
    }
    let kind = text(schema, "type");
    if kind == "null" {
        forbid(
            "type",
            "type cannot be set to null, use nullable as an alternative",
        );
    } else if !kind.is_empty() && kind_of(kind).is_none() {
        errors.push(FieldError::not_supported(child(path, "type"), kind, TYPES));
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        errors.push(FieldError::invalid(
            child(path, "x-kubernetes-preserve-unknown-fields"),
            false,
            "must be true or undefined",
        ));
    }
    lists::check(path, schema, errors);
    validations::check(path, schema, errors);
    for (path, part) in parts(path, schema) {
        forbidden(&path, part, errors);
    }
}

fn names_its_schema(schema: &Value) -> bool {
    !text(schema, "$schema").is_empty() || parts("", schema).any(|(_, part)| names_its_schema(part))
}

/// What makes a schema structural.
fn structural(path: &str, schema: &Value, level: Level, errors: &mut Vec<FieldError>) {
    if errors.len() > ENOUGH {
        return;
    }
    let flag = |name: &str| schema[name] == true;
    let kind = text(schema, "type");
    let at = |field: &str| child(path, field);
    let (int_or_string, preserve, embedded) = (
        flag("x-kubernetes-int-or-string"),
        flag("x-kubernetes-preserve-unknown-fields"),
        flag("x-kubernetes-embedded-resource"),
    );
    if kind == "array" && !schema["items"].is_object() {
        errors.push(FieldError::required(at("items"), "must be specified"));
    }
    if int_or_string && preserve {
        errors.push(FieldError::invalid(
            at("x-kubernetes-preserve-unknown-fields"),
            true,
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    if int_or_string && embedded {
        errors.push(FieldError::invalid(
            at("x-kubernetes-embedded-resource"),
            true,
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if kind.is_empty() {
            FieldError::required(at("type"), why)
        } else {
            FieldError::invalid(at("type"), kind, why)
        });
    } else if int_or_string && !kind.is_empty() {
        let why = "must be empty if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(at("type"), kind, why));
    } else if kind.is_empty() && !int_or_string && !preserve {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(at("type"), why));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(
            at("type"),
            kind,
            "must be object at the root",
        ));
    }
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    if embedded && !schema["additionalProperties"].is_null() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(at("additionalProperties"), why));
    }
    if embedded && !preserve && properties.is_empty() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(at("properties"), why));
    }
    if level == Level::Root && !schema["additionalProperties"].is_null() {
        let why = "must not be used at the root";
        errors.push(FieldError::forbidden(at("additionalProperties"), why));
    }
    if level == Level::Root || embedded {
        implied(path, properties, level, errors);
    }
    nested::check(path, schema, nested::exception(schema), errors);
    if schema["items"].is_object() {
        structural(&at("items"), &schema["items"], Level::Item, errors);
    }
    if schema["additionalProperties"].is_object() {
        let inner = &schema["additionalProperties"];
        structural(&at("additionalProperties"), inner, Level::Field, errors);
    }
    for (name, part) in properties {
        structural(&property(path, name), part, Level::Field, errors);
    }
}

/// What is said of fields that every resource has.
fn implied(path: &str, properties: &Map<String, Value>, level: Level, errors: &mut Vec<FieldError>) {
    for (field, wanted) in [
        ("apiVersion", "string"),
        ("kind", "string"),
        ("metadata", "object"),
    ] {
        if let Some(schema) = properties.get(field)
            && text(schema, "type") != wanted
        {
            let at = format!("{path}.properties[{field}].type");
            errors.push(FieldError::invalid(
                at,
                text(schema, "type"),
                &format!("must be {wanted}"),
            ));
        }
    }
    let Some(metadata) = properties.get("metadata").filter(|_| level == Level::Root) else {
        return;
    };
    let only_names = metadata["properties"].as_object().is_none_or(|map| {
        map.keys()
            .all(|name| matches!(name.as_str(), "name" | "generateName"))
    });
    let rest = metadata.as_object().into_iter().flatten();
    let mut rest = rest.filter(|(name, value)| {
        !matches!(name.as_str(), "type" | "properties" | "description") && !value.is_null()
    });
    if !only_names || rest.next().is_some() {
        errors.push(FieldError::forbidden(
            format!("{path}.properties[metadata]"),
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ));
    }
}

/// What the defaults of a schema may cost together.
#[derive(Debug)]
struct Allowance {
    /// Steps of validation.
    steps: usize,
    /// Bytes that inner defaults add to outer ones.
    bytes: usize,
}

/// Defaults are values of their schema, and of known fields only. `read` is the same schema.
fn defaults(
    path: &str,
    schema: &Value,
    read: &Structural,
    allowance: &mut Allowance,
    errors: &mut Vec<FieldError>,
) {
    if errors.len() > ENOUGH {
        return;
    }
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let at = child(path, "default");
        let mut pruned = default.clone();
        if read.prune_value(&mut pruned).is_err() || pruned != *default {
            errors.push(FieldError::invalid(
                at.clone(),
                default.clone(),
                "must not have unknown fields",
            ));
        }
        // Inner defaults count, as they do in objects.
        let mut filled = default.clone();
        if let Err(error) = read.default_within(&mut filled, &mut allowance.bytes) {
            errors.push(FieldError::invalid_shown(
                at.clone(),
                "\"default\"",
                &error.to_string(),
            ));
        }
        errors.extend(read.validate_at(&at, &filled, &mut allowance.steps));
    }
    for (name, read) in [
        ("items", read.items.as_deref()),
        ("additionalProperties", read.additional.schema()),
    ] {
        if let Some(read) = read {
            defaults(&child(path, name), &schema[name], read, allowance, errors);
        }
    }
    for (name, read) in &read.properties {
        let part = &schema["properties"][name];
        defaults(&property(path, name), part, read, allowance, errors);
    }
}
