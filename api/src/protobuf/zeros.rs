//! What JSON says and protobuf cannot: zeros that are as good as absent.

use serde_json::{Map, Value};

use super::table::{self, Field, Kind, Message, Shape, Zero};

/// Drops what would not come back from protobuf: `hostNetwork: false`, `stdin: false`, `env: []`.
///
/// Upstream stores protobuf, so a client never sees such a zero again. Zeros that Go holds by pointer
/// (`runAsNonRoot: false`) stay, as there `false` is an answer; so do structures, of which an empty one is not none.
pub fn drop_zeros(message: &Message, object: &mut Map<String, Value>) {
    let mut from = 0;
    object.retain(|name, value| {
        message
            .named(name.as_bytes(), &mut from)
            .is_none_or(|field| says_something(field, value))
    });
}

/// Drops the zeros within a field; whether the field itself is to stay.
fn says_something(field: &Field, value: &mut Value) -> bool {
    match (field.shape, value) {
        (Shape::List, Value::Array(items)) => {
            for item in &mut *items {
                within(field.kind, item);
            }
            !items.is_empty()
        }
        (Shape::Map, Value::Object(entries)) => {
            for entry in entries.values_mut() {
                within(field.kind, entry);
            }
            !entries.is_empty()
        }
        (Shape::One, value) => {
            within(field.kind, value);
            field.zero == Zero::Kept || !is_zero(field.kind, value)
        }
        _ => true,
    }
}

fn within(kind: Kind, value: &mut Value) {
    match (kind, value) {
        (Kind::Message(child), Value::Object(fields)) => drop_zeros(table::message(child), fields),
        (Kind::SchemaOrList | Kind::SchemaOrBool | Kind::SchemaOrTexts, Value::Object(fields)) => {
            drop_zeros(table::schema(), fields);
        }
        (Kind::SchemaOrList, Value::Array(schemas)) => {
            for fields in schemas.iter_mut().filter_map(Value::as_object_mut) {
                drop_zeros(table::schema(), fields);
            }
        }
        _ => {}
    }
}

fn is_zero(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text | Kind::Bytes, Value::String(text)) => text.is_empty(),
        (Kind::Bool, Value::Bool(set)) => !set,
        (Kind::Integer | Kind::Double, Value::Number(number)) => number.as_f64() == Some(0.0),
        _ => false,
    }
}
