//! One step of a path, in the notation of `FieldsV1`: `f:NAME` a field, `k:{...}` an item of a list by its keys, `v:JSON`
//! an item of a set, `i:N` an item by its place. This is the form in which steps are kept and compared, so it is
//! canonical: JSON without spaces, keys sorted.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::fields::FieldsError;
use super::place::List;
use crate::status::go_quote;

/// A field.
pub(super) fn field(name: &str) -> String {
    // Every field of every write comes through here.
    let mut step = String::with_capacity(2 + name.len());
    step.push_str("f:");
    step.push_str(name);
    step
}

/// The step to an item of a list that merges item by item; `Err` says why it has none.
pub(super) fn item(list: &List<'_>, value: &Value) -> Result<String, String> {
    let List::Keyed { keys, .. } = list else {
        return match value {
            Value::Array(_) | Value::Object(_) => {
                Err("associative list without keys has an element that's an explicit list or map".to_owned())
            }
            Value::Null => Err("associative list without keys has an element that's a null".to_owned()),
            plain => Ok(format!("v:{plain}")),
        };
    };
    let Value::Object(fields) = value else {
        return Err("associative list with keys may not have non-map elements".to_owned());
    };
    let mut found = Map::new();
    for key in *keys {
        let value = match fields.get(key.as_ref()) {
            Some(value) if !value.is_null() => value.clone(),
            _ => list.key_default(key).ok_or_else(|| {
                let key = go_quote(key);
                format!(
                    "associative list with keys has an element that omits key field {key} (and doesn't have default value)"
                )
            })?,
        };
        found.insert(key.to_string(), value);
    }
    Ok(format!("k:{}", Value::Object(found)))
}

/// Brings a step from outside into its canonical form; `None` if it is of a kind that only a later version knows.
pub(super) fn canonical(step: &str) -> Result<Option<String>, FieldsError> {
    let Some((kind, rest)) = step.split_once(':') else {
        return Err(FieldsError::Step(step.to_owned()));
    };
    let bad = |_| FieldsError::Step(step.to_owned());
    Ok(match kind {
        "f" => Some(step.to_owned()),
        "v" => {
            let value: Value = serde_json::from_str(rest).map_err(bad)?;
            Some(format!("v:{value}"))
        }
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).map_err(bad)?;
            Some(format!("k:{}", Value::Object(keys)))
        }
        "i" => {
            let place: i64 = rest.parse().map_err(|_| FieldsError::Step(step.to_owned()))?;
            Some(format!("i:{place}"))
        }
        _ => None,
    })
}

/// The step as error messages show it: `.spec`, `[name="a"]`, `[="x"]`, `[0]`.
pub(super) fn display(out: &mut String, step: &str) {
    let Some((kind, rest)) = step.split_once(':') else {
        return;
    };
    // Writing to a string cannot fail.
    let _ = match kind {
        "f" => write!(out, ".{rest}"),
        "v" => write!(out, "[={}]", shown(rest)),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys
                .iter()
                .map(|(name, value)| format!("{name}={}", shown(&value.to_string())))
                .collect();
            write!(out, "[{}]", keys.join(","))
        }
        _ => write!(out, "[{rest}]"),
    };
}

/// JSON as Go shows values: text in Go's quotes.
fn shown(json: &str) -> String {
    match serde_json::from_str(json) {
        Ok(Value::String(text)) => go_quote(&text),
        _ => json.to_owned(),
    }
}
