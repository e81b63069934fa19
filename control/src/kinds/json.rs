//! Short accessors for fields of JSON objects, and setters of defaults.

use keelson_api::pointer::at;
use serde_json::{Map, Value};

/// Text at a JSON pointer; empty if it is missing or no text.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number at a JSON pointer.
pub(super) fn int(value: &Value, pointer: &str) -> Option<i64> {
    at(value, pointer).and_then(Value::as_i64)
}

/// Whether there is `true` at a JSON pointer.
pub(super) fn is_true(value: &Value, pointer: &str) -> bool {
    at(value, pointer) == Some(&Value::Bool(true))
}

/// The items of the list at a JSON pointer, none if it is missing.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of the object at a JSON pointer, none if it is missing.
pub(super) fn entries<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    at(value, pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// Whether a field is missing, null, or an empty list, object or text.
pub(super) fn is_unset(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

/// Whether two values are the same to a client with types, which leaves out what is zero: `readOnly: false`, `fsType: ""`.
pub(super) fn alike(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (
        one.filter(|one| !is_zero(one)),
        other.filter(|other| !is_zero(other)),
    ) {
        (None, None) => true,
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut fields = one.keys().chain(other.keys());
            fields.all(|field| alike(one.get(field), other.get(field)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| alike(Some(one), Some(other)))
        }
        (one, other) => one == other,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(fields) => fields.values().all(is_zero),
        other => is_unset(Some(other)),
    }
}

/// The object in a field, mutable, if there is one.
pub(super) fn object<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(key).and_then(Value::as_object_mut)
}

/// The object in a field, made if it is missing. `None` only if the field (or the parent) is something else.
pub(super) fn object_or_new<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    let slot = parent.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// The objects in the list in a field, mutable.
pub(super) fn list<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    parent
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// Sets a field that is missing or null.
pub(super) fn set_default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    match map.get_mut(key) {
        None => drop(map.insert(key.to_owned(), value.into())),
        Some(slot @ Value::Null) => *slot = value.into(),
        Some(_) => {}
    }
}

/// Sets a field that upstream's type cannot tell from unset: missing, null, empty or zero.
pub(super) fn set_zero(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let unset = match map.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(number @ Value::Number(_)) => number.as_i64() == Some(0),
        Some(_) => false,
    };
    if unset {
        map.insert(key.to_owned(), value.into());
    }
}
