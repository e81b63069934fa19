//! A value of the wrong type, in the words of the two ways in which upstream turns documents into its structs.
//!
//! Not as upstream: the converter names types of texts by their own names (`v1.PullPolicy`), here it is `string`; and it cuts
//! numbers off that are too large for their field, which are refused here.

use serde_json::Value;

use super::Node;
use crate::status::json_type;

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

/// What Go's JSON decoder calls a value that stands where `node` belongs: numbers by name where another number belongs.
pub(super) fn found(value: &Value, node: &Node) -> String {
    match (value, node) {
        (Value::Number(number), Node::Int32 | Node::Int64 | Node::Number | Node::IntOrString) => {
            format!("number {number}")
        }
        _ => json_type(value).to_owned(),
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
        Node::Object | Node::Map(_) => return format!("cannot restore map from {kind}"),
        Node::Bytes | Node::List(_) => return format!("cannot restore slice from {kind}"),
        Node::Struct(_) => return format!("cannot restore struct from: {kind}"),
        Node::Time | Node::MicroTime => return unmarshaled(value, node, "string"),
        Node::IntOrString => return unmarshaled(value, node, "int32"),
        Node::String => "string",
        Node::Boolean => "bool",
        Node::Int32 => "int32",
        Node::Int64 => "int64",
        Node::Number => "float64",
        // Whatever there is fits the one, and the other says itself what does not.
        Node::Any | Node::Quantity => "",
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

fn unmarshaled(value: &Value, node: &Node, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {wanted}",
        found(value, node)
    )
}
