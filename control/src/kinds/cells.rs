//! Cells of Table rows that several kinds print alike.

use keelson_api::selector::Selector;
use keelson_api::time;
use serde_json::Value;

use super::json::{entries, items, text};

/// The object's name.
pub(super) fn name(object: &Value) -> Value {
    Value::from(text(object, "/metadata/name"))
}

/// Time since creation, e.g. `5m12s`.
pub(super) fn age(object: &Value, now: i64) -> Value {
    since(object, "/metadata/creationTimestamp", now)
}

/// Time since the timestamp at a pointer, `<unknown>` without one.
pub(super) fn since(object: &Value, pointer: &str, now: i64) -> Value {
    Value::from(time::age(object.pointer(pointer).and_then(Value::as_str), now))
}

/// The creation time itself.
pub(super) fn created_at(object: &Value) -> Value {
    Value::from(text(object, "/metadata/creationTimestamp"))
}

/// A whole number, 0 without one.
pub(super) fn number(object: &Value, pointer: &str) -> Value {
    Value::from(super::json::int(object, pointer).unwrap_or(0))
}

/// Text at a pointer, or a substitute such as `<none>`.
pub(super) fn text_or(object: &Value, pointer: &str, otherwise: &str) -> Value {
    let found = text(object, pointer);
    Value::from(if found.is_empty() { otherwise } else { found })
}

/// A number or text at a pointer as text, or a substitute.
pub(super) fn any_or(object: &Value, pointer: &str, otherwise: &str) -> Value {
    Value::from(match object.pointer(pointer) {
        None | Some(Value::Null) => otherwise.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

/// Texts joined by commas, `<none>` without any.
pub(super) fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.is_empty() {
        "<none>".to_owned()
    } else {
        texts.join(",")
    }
}

/// `a=1,b=2`, `<none>` without any.
pub(super) fn labels(object: &Value, pointer: &str) -> Value {
    let pairs: Vec<String> = entries(object, pointer)
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    Value::from(joined(pairs.iter().map(String::as_str)))
}

/// A `LabelSelector` in the query syntax, `<none>` when it is empty.
pub(super) fn label_selector(object: &Value, pointer: &str) -> Value {
    let selector = object.pointer(pointer).unwrap_or(&Value::Null);
    Value::from(match Selector::from_label_selector(selector) {
        Ok(selector) if selector.requirements().is_empty() => "<none>".to_owned(),
        Ok(selector) => selector.to_string(),
        Err(_) => "<error>".to_owned(),
    })
}

/// Names and images of a pod template's containers.
pub(super) fn containers(spec: Option<&Value>) -> (Value, Value) {
    let containers = spec.map_or(&[][..], |spec| items(spec, "/containers"));
    let list = |field: &str| {
        let texts: Vec<&str> = containers
            .iter()
            .map(|container| text(container, field))
            .collect();
        Value::from(texts.join(","))
    };
    (list("/name"), list("/image"))
}

/// `True` or `False`.
pub(super) fn boolean(value: bool) -> Value {
    Value::from(if value { "True" } else { "False" })
}
