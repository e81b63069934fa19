//! Access to fields of objects whose types have not been checked yet: a field of another type than expected is
//! treated as absent (validation will refuse it), never indexed into.

use keelson_api::pointer::at;
use serde_json::{Map, Value};

/// Text at a JSON pointer; empty if it is missing or no text.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of the list at a JSON pointer; none if it is missing.
pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether the field at a JSON pointer is missing, null or an empty text.
pub fn is_unset(value: &Value, pointer: &str) -> bool {
    match at(value, pointer) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// The object in a field of an object, made if it is missing; `None` if something else is there.
pub fn map<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let slot = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// The list in a field of an object, made if it is missing; `None` if something else is there.
pub fn list<'a>(parent: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Vec<Value>> {
    let slot = parent.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut()
}
