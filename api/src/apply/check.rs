//! Checks that a configuration fits its type, before it is merged.

use std::fmt::Write;

use serde_json::Value;

use super::element;
use super::place::{Place, Shape};
use crate::schema::Node;
use crate::status::{go_plain, go_quote, start};

/// Most errors that are told.
const MOST: usize = 50;

/// What is wrong, in the words of upstream's typed values: one line, or several under `errors:`.
pub(super) fn check(root: Place<'_>, value: &Value) -> Result<(), String> {
    let mut check = Check {
        path: String::new(),
        errors: Vec::new(),
    };
    check.walk(root, value);
    match check.errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => {
            let mut text = "errors:".to_owned();
            for error in many {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {error}");
            }
            Err(text)
        }
    }
}

struct Check {
    path: String,
    errors: Vec<String>,
}

impl Check {
    fn error(&mut self, what: &str) {
        if self.errors.len() < MOST {
            let path = start(&self.path);
            let colon = if path.is_empty() { "" } else { ": " };
            self.errors.push(format!("{path}{colon}{}", start(what)));
        }
    }

    fn step(&mut self, step: &str, run: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        element::display(&mut self.path, step);
        run(self);
        self.path.truncate(length);
    }

    fn walk(&mut self, place: Place<'_>, value: &Value) {
        // Null says that the field shall be unset, whatever its type.
        if value.is_null() {
            return;
        }
        if let Some(definition) = place.definition() {
            let Value::Object(map) = value else {
                return self.error(&format!("expected map, got {}", shown(value)));
            };
            for (name, value) in map {
                let field = definition.field(name);
                self.step(&element::field(name), |check| match field {
                    Some(field) => check.walk(place.field(field), value),
                    None if definition.preserve_unknown => {}
                    None => check.error("field not declared in schema"),
                });
            }
            return;
        }
        match (place.plain(), value) {
            (None | Some(Node::Any), _) => {}
            (Some(Node::List(_)), Value::Array(items)) => self.list(place, items),
            (Some(Node::Map(_)), Value::Object(map)) => {
                let inner = place.inside();
                for (name, value) in map {
                    self.step(&element::field(name), |check| {
                        if let Some(inner) = inner {
                            check.walk(inner, value);
                        }
                    });
                }
            }
            (Some(Node::List(_)), other) => self.error(&format!("expected list, got {}", shown(other))),
            (Some(Node::Map(_) | Node::Object), other) if !other.is_object() => {
                self.error(&format!("expected map, got {}", shown(other)));
            }
            (Some(node), value) => self.scalar(node, value),
        }
    }

    fn list(&mut self, place: Place<'_>, items: &[Value]) {
        let mut seen = std::collections::BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let mut step = format!("i:{at}");
            if let Shape::List(list) = place.shape() {
                match element::item(&list, item) {
                    Ok(found) => step = found,
                    Err(why) => {
                        self.error(&format!("element {at}: {why}"));
                        continue;
                    }
                }
                if !seen.insert(step.clone()) {
                    let mut shown = String::new();
                    element::display(&mut shown, &step);
                    self.error(&format!("duplicate entries for key {shown}"));
                    continue;
                }
            }
            if let Some(inner) = place.inside() {
                self.step(&step, |check| check.walk(inner, item));
            }
        }
    }

    fn scalar(&mut self, node: &Node, value: &Value) {
        if matches!(node, Node::Int32 | Node::Int64 | Node::Number) && !value.is_number() {
            return self.error(&format!(
                "expected numeric (int or float), got {}",
                go_type(value)
            ));
        }
        let wanted = match node {
            Node::String | Node::Bytes | Node::Time | Node::MicroTime if !value.is_string() => "string",
            Node::Boolean if !value.is_boolean() => "boolean",
            Node::Quantity | Node::IntOrString if value.is_array() || value.is_object() => {
                return self.error(&format!("expected any scalar, got {}", shown(value)));
            }
            _ => return,
        };
        let shown = match value {
            Value::String(text) => go_quote(text),
            Value::Object(_) | Value::Array(_) => format!("{}{{...}}", go_type(value)),
            plain => plain.to_string(),
        };
        self.error(&format!(
            "expected {wanted}, got &value.valueUnstructured{{Value:{shown}}}"
        ));
    }
}

/// The value's type in Go.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The value as Go prints it with `%v`.
fn shown(value: &Value) -> String {
    format!("&{{{}}}", go_plain(value))
}
