//! Pieces of OpenAPI v2 as the messages of gnostic's `OpenAPIv2.proto`, whose field numbers are here.
//!
//! Maps are lists of `Named...` messages with the name as field 1 and the value as field 2; what begins with `x-` goes
//! to a list of its own, as YAML text, of which JSON is a part.

use serde_json::Value;

use crate::openapi::Members;
use crate::protobuf::wire::{close, open, put_bytes, put_double, put_number};

/// A message within a message.
fn within(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mark = open(out, number);
    write(out);
    close(out, mark);
}

/// A member of a map.
fn named(out: &mut Vec<u8>, number: u32, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    within(out, number, |out| {
        put_bytes(out, 1, name.as_bytes());
        within(out, 2, write);
    });
}

/// `Any`, as YAML.
fn any(out: &mut Vec<u8>, value: &Value) {
    put_bytes(out, 2, value.to_string().as_bytes());
}

fn text(out: &mut Vec<u8>, number: u32, value: &Value) {
    put_bytes(out, number, value.as_str().unwrap_or_default().as_bytes());
}

fn texts(out: &mut Vec<u8>, number: u32, value: &Value) {
    for value in value.as_array().into_iter().flatten() {
        text(out, number, value);
    }
}

fn flag(out: &mut Vec<u8>, number: u32, value: &Value) {
    put_number(out, number, u64::from(value.as_bool().unwrap_or_default()));
}

fn integer(out: &mut Vec<u8>, number: u32, value: &Value) {
    put_number(out, number, value.as_i64().unwrap_or_default() as u64);
}

fn double(out: &mut Vec<u8>, number: u32, value: &Value) {
    put_double(out, number, value.as_f64().unwrap_or_default());
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

/// The document's version and information.
pub(super) fn start(out: &mut Vec<u8>, info: &Value) {
    put_bytes(out, 1, b"2.0");
    within(out, 2, |out| {
        text(out, 1, &info["title"]);
        text(out, 2, &info["version"]);
    });
}

/// Writes members into one of the document's maps.
struct Map<'a> {
    out: &'a mut Vec<u8>,
    number: u32,
    write: fn(&mut Vec<u8>, &Value),
}

impl Members for Map<'_> {
    fn member(&mut self, name: &str, value: &Value) {
        named(self.out, self.number, name, |out| (self.write)(out, value));
    }
}

/// The document's paths.
pub(super) fn paths(out: &mut Vec<u8>, give: impl FnOnce(&mut dyn Members)) {
    within(out, 8, |out| {
        give(&mut Map {
            out,
            number: 2,
            write: path,
        });
    });
}

/// The document's definitions.
pub(super) fn definitions(out: &mut Vec<u8>, give: impl FnOnce(&mut dyn Members)) {
    within(out, 9, |out| {
        give(&mut Map {
            out,
            number: 1,
            write: schema,
        });
    });
}

/// How clients show who they are: `apiKey` only.
pub(super) fn security(out: &mut Vec<u8>, definitions: &Value, required: &Value) {
    for requirement in required.as_array().into_iter().flatten() {
        within(out, 12, |out| {
            for (name, scopes) in members(requirement) {
                named(out, 1, name, |out| texts(out, 1, scopes));
            }
        });
    }
    within(out, 13, |out| {
        for (name, definition) in members(definitions) {
            named(out, 1, name, |out| {
                within(out, 2, |out| {
                    text(out, 1, &definition["type"]);
                    text(out, 2, &definition["name"]);
                    text(out, 3, &definition["in"]);
                    text(out, 4, &definition["description"]);
                });
            });
        }
    });
}

fn path(out: &mut Vec<u8>, item: &Value) {
    for (name, value) in members(item) {
        let number = match name {
            "parameters" => {
                parameters(out, 9, value);
                continue;
            }
            "get" => 2,
            "put" => 3,
            "post" => 4,
            "delete" => 5,
            "options" => 6,
            "head" => 7,
            "patch" => 8,
            _ => continue,
        };
        within(out, number, |out| operation(out, value));
    }
}

fn operation(out: &mut Vec<u8>, operation: &Value) {
    for (name, value) in members(operation) {
        match name {
            "tags" => texts(out, 1, value),
            "description" => text(out, 3, value),
            "operationId" => text(out, 5, value),
            "produces" => texts(out, 6, value),
            "consumes" => texts(out, 7, value),
            "parameters" => parameters(out, 8, value),
            "responses" => within(out, 9, |out| {
                for (code, value) in members(value) {
                    named(out, 1, code, |out| within(out, 1, |out| response(out, value)));
                }
            }),
            _ if name.starts_with("x-") => named(out, 13, name, |out| any(out, value)),
            _ => {}
        }
    }
}

fn response(out: &mut Vec<u8>, response: &Value) {
    text(out, 1, &response["description"]);
    if response["schema"].is_object() {
        within(out, 2, |out| {
            within(out, 1, |out| schema(out, &response["schema"]));
        });
    }
}

fn parameters(out: &mut Vec<u8>, number: u32, list: &Value) {
    for one in list.as_array().into_iter().flatten() {
        within(out, number, |out| within(out, 1, |out| parameter(out, one)));
    }
}

fn parameter(out: &mut Vec<u8>, parameter: &Value) {
    // Numbers of: required, in, description, name, type, format, uniqueItems.
    let (place, [required, at, about, name, kind, format, unique]) = match parameter["in"].as_str() {
        Some("body") => {
            within(out, 1, |out| {
                text(out, 2, &parameter["name"]);
                text(out, 3, &parameter["in"]);
                flag(out, 4, &parameter["required"]);
                within(out, 5, |out| schema(out, &parameter["schema"]));
            });
            return;
        }
        Some("path") => (4, [1, 2, 3, 4, 5, 6, 18]),
        _ => (3, [1, 2, 3, 4, 6, 7, 20]),
    };
    within(out, 2, |out| {
        within(out, place, |out| {
            for (member, value) in members(parameter) {
                match member {
                    "required" => flag(out, required, value),
                    "in" => text(out, at, value),
                    "description" => text(out, about, value),
                    "name" => text(out, name, value),
                    "type" => text(out, kind, value),
                    "format" => text(out, format, value),
                    "uniqueItems" => flag(out, unique, value),
                    _ => {}
                }
            }
        });
    });
}

fn schema(out: &mut Vec<u8>, of: &Value) {
    for (name, value) in members(of) {
        match name {
            "$ref" => text(out, 1, value),
            "format" => text(out, 2, value),
            "title" => text(out, 3, value),
            "description" => text(out, 4, value),
            "default" => within(out, 5, |out| any(out, value)),
            "multipleOf" => double(out, 6, value),
            "maximum" => double(out, 7, value),
            "exclusiveMaximum" => flag(out, 8, value),
            "minimum" => double(out, 9, value),
            "exclusiveMinimum" => flag(out, 10, value),
            "maxLength" => integer(out, 11, value),
            "minLength" => integer(out, 12, value),
            "pattern" => text(out, 13, value),
            "maxItems" => integer(out, 14, value),
            "minItems" => integer(out, 15, value),
            "uniqueItems" => flag(out, 16, value),
            "maxProperties" => integer(out, 17, value),
            "minProperties" => integer(out, 18, value),
            "required" => texts(out, 19, value),
            "enum" => {
                for value in value.as_array().into_iter().flatten() {
                    within(out, 20, |out| any(out, value));
                }
            }
            "additionalProperties" => within(out, 21, |out| match value {
                Value::Bool(_) => flag(out, 2, value),
                _ => within(out, 1, |out| schema(out, value)),
            }),
            "type" => within(out, 22, |out| text(out, 1, value)),
            "items" => within(out, 23, |out| within(out, 1, |out| schema(out, value))),
            "properties" => within(out, 25, |out| {
                for (name, value) in members(value) {
                    named(out, 1, name, |out| schema(out, value));
                }
            }),
            _ if name.starts_with("x-") => named(out, 31, name, |out| any(out, value)),
            _ => {}
        }
    }
}
