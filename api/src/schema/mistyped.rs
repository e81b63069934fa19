//! A value of the wrong type, in the words of the two ways in which upstream turns documents into its structs.

use serde_json::Value;

use super::Node;

/// A value of the wrong type; the text is that of Go's JSON decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{decoder}")]
pub struct TypeError {
    decoder: String,
    converter: Option<String>,
}

impl TypeError {
    /// What both ways say alike, because the type reads its own JSON.
    pub(super) fn alike(text: String) -> Self {
        Self {
            decoder: text,
            converter: None,
        }
    }

    /// Bytes that are no base64.
    pub(super) fn base64(text: String) -> Self {
        Self {
            converter: Some(format!("error decoding from json: {text}")),
            decoder: text,
        }
    }

    /// `value` stands where `node` belongs; `decoder` is what Go's JSON decoder says.
    pub(super) fn new(decoder: String, value: &Value, node: &Node) -> Self {
        Self {
            decoder,
            converter: Some(converter(value, node)),
        }
    }

    /// The text of upstream's converter (`DefaultUnstructuredConverter`), which makes structs of what a strategic merge
    /// patch leaves.
    pub fn converted(&self) -> &str {
        self.converter.as_deref().unwrap_or(&self.decoder)
    }
}

/// What Go's JSON decoder calls a value.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => format!("number {number}"),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn converter(value: &Value, node: &Node) -> String {
    let kind = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    };
    let plain = match node {
        Node::Any | Node::Object | Node::Map(_) => return format!("cannot restore map from {kind}"),
        Node::Bytes | Node::List(_) => return format!("cannot restore slice from {kind}"),
        Node::Struct(_) => return format!("cannot restore struct from: {kind}"),
        Node::Time | Node::MicroTime | Node::Quantity => return unmarshaled(value, "string"),
        Node::IntOrString => return unmarshaled(value, "int32"),
        Node::String => "string",
        Node::Boolean => "bool",
        Node::Int32 => "int32",
        Node::Int64 => "int64",
        Node::Number => "float64",
    };
    // Go can convert an integer to a string, as a character, and the converter refuses that in words of its own.
    let convertible = match value {
        Value::Number(number) if number.is_f64() => !matches!(node, Node::Boolean | Node::String),
        Value::Number(_) => *node != Node::Boolean,
        _ => false,
    };
    if convertible {
        format!("cannot convert {kind} to {plain}")
    } else {
        format!("unrecognized type: {plain}")
    }
}

fn unmarshaled(value: &Value, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {wanted}",
        found(value)
    )
}
