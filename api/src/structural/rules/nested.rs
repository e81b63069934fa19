//! What may stand below `allOf`, `anyOf`, `oneOf` and `not`: checks of values only, and of fields that the schema
//! specifies outside of them.

use serde_json::{Value, json};

use super::{ENOUGH, property};
use crate::status::FieldError;
use crate::structural::child;
use crate::structural::read::text;

/// Where types may be named although it is below a junctor: an int-or-string may say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exception {
    None,
    /// In `anyOf`.
    AnyOf,
    /// In the `anyOf` of the first of `allOf`.
    AllOf,
}

/// The exception of a schema that is an int-or-string.
pub(super) fn exception(schema: &Value) -> Exception {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    if schema["x-kubernetes-int-or-string"] != true {
        Exception::None
    } else if schema["anyOf"] == either {
        Exception::AnyOf
    } else if schema["allOf"][0]["anyOf"] == either {
        Exception::AllOf
    } else {
        Exception::None
    }
}

/// Checks the junctors of a schema.
pub(super) fn check(path: &str, schema: &Value, exception: Exception, errors: &mut Vec<FieldError>) {
    for name in ["anyOf", "allOf", "oneOf"] {
        for (index, part) in schema[name].as_array().into_iter().flatten().enumerate() {
            let inner = match (name, exception) {
                ("anyOf", Exception::AnyOf) => continue,
                ("allOf", Exception::AllOf) if index == 0 => Exception::AnyOf,
                _ => Exception::None,
            };
            value_only(&format!("{}[{index}]", child(path, name)), part, inner, errors);
        }
    }
    if schema["not"].is_object() {
        value_only(&child(path, "not"), &schema["not"], Exception::None, errors);
    }
}

fn value_only(path: &str, schema: &Value, exception: Exception, errors: &mut Vec<FieldError>) {
    if errors.len() > ENOUGH {
        return;
    }
    check(path, schema, exception, errors);
    for name in ["type", "title", "description"] {
        if !text(schema, name).is_empty() {
            errors.push(FieldError::forbidden(
                child(path, name),
                "must be empty to be structural",
            ));
        }
    }
    for name in ["additionalProperties", "default", "x-kubernetes-list-type"] {
        if !schema[name].is_null() {
            errors.push(FieldError::forbidden(
                child(path, name),
                "must be undefined to be structural",
            ));
        }
    }
    for name in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        if schema[name] == true {
            errors.push(FieldError::forbidden(
                child(path, name),
                "must be false to be structural",
            ));
        }
    }
    if schema["x-kubernetes-list-map-keys"]
        .as_array()
        .is_some_and(|keys| !keys.is_empty())
    {
        errors.push(FieldError::forbidden(
            child(path, "x-kubernetes-list-map-keys"),
            "must be empty to be structural",
        ));
    }
    if schema["items"].is_object() {
        value_only(&child(path, "items"), &schema["items"], Exception::None, errors);
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        let at = property(path, name);
        if name == "metadata" {
            errors.push(FieldError::forbidden(
                at.clone(),
                "must not be specified in a nested context",
            ));
        }
        value_only(&at, part, Exception::None, errors);
    }
}

/// Every field that a junctor speaks of is specified outside of it as well.
pub(super) fn complete(path: &str, schema: &Value, from: &str, said: &Value, errors: &mut Vec<FieldError>) {
    for name in ["anyOf", "allOf", "oneOf"] {
        for (index, part) in said[name].as_array().into_iter().flatten().enumerate() {
            specified(
                path,
                schema,
                &format!("{}[{index}]", child(from, name)),
                part,
                errors,
            );
        }
    }
    if said["not"].is_object() {
        specified(path, schema, &child(from, "not"), &said["not"], errors);
    }
    if !std::ptr::eq(schema, said) {
        return;
    }
    for name in ["items", "additionalProperties"] {
        if schema[name].is_object() {
            let at = child(path, name);
            complete(&at, &schema[name], &at, &schema[name], errors);
        }
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        let at = property(path, name);
        complete(&at, part, &at, part, errors);
    }
}

fn specified(path: &str, schema: &Value, from: &str, said: &Value, errors: &mut Vec<FieldError>) {
    if errors.len() > ENOUGH {
        return;
    }
    let mut missing = |at: &str, from: &str| {
        errors.push(FieldError::required(
            at,
            &format!("because it is defined in {from}"),
        ));
    };
    if said["items"].is_object() {
        let (at, from) = (child(path, "items"), child(from, "items"));
        if schema["items"].is_object() {
            specified(&at, &schema["items"], &from, &said["items"], errors);
        } else {
            missing(&at, &from);
        }
    }
    for (name, part) in said["properties"].as_object().into_iter().flatten() {
        let (at, from) = (property(path, name), property(from, name));
        let inner = schema["properties"]
            .get(name)
            .or_else(|| Some(&schema["additionalProperties"]).filter(|inner| inner.is_object()));
        match inner {
            Some(inner) => specified(&at, inner, &from, part, errors),
            None => errors.push(FieldError::required(
                at,
                &format!("because it is defined in {from}"),
            )),
        }
    }
    complete(path, schema, from, said, errors);
}
