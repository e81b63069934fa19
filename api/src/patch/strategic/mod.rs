//! Strategic merge patch.
//!
//! Like a merge patch, but lists whose schema has a merge key are merged item by item, and lists of plain values with
//! the merge strategy become unions. Directives in the patch: `$patch` (`replace`, `delete`, `merge`), `$retainKeys`,
//! `$setElementOrder/LIST` and `$deleteFromPrimitiveList/LIST`.
//!
//! Source: `k8s.io/apimachinery/pkg/util/strategicpatch` and the design note "strategic merge patch".
//! Here: objects. `lists` merges lists, `order` puts their items in order, `place` follows the schema.

mod lists;
mod order;
mod place;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{OBJECT, PatchError, mistyped};
use crate::schema::Type;
use place::Place;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

fn bad(text: impl Into<String>) -> PatchError {
    PatchError::Bad(text.into())
}

/// The object after the patch.
pub fn strategic_patch(kind: Type<'_>, object: &Value, patch: Value) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(mistyped(&patch, OBJECT));
    };
    let original = object.as_object().cloned().unwrap_or_default();
    let place = Place::of(kind);
    merge_objects(place, original, patch).map(Value::Object)
}

/// Merges a patch into an object.
fn merge_objects(
    place: Place<'_>,
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
) -> Result<Map<String, Value>, PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => Err(bad(format!(
                "unknown patch type: {} in map: {}",
                plain(&directive),
                Value::Object(patch)
            ))),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    lists::ordered(place, &mut original, &mut patch)?;
    // Deletions from plain lists come before additions to them.
    let (deletions, rest): (Vec<_>, Vec<_>) =
        patch.into_iter().partition(|(name, _)| name.starts_with(DELETE));
    for (name, values) in deletions {
        let name = name.strip_prefix(DELETE).unwrap_or_default();
        let Value::Array(values) = values else {
            return Err(bad("invalid patch format of primitive list"));
        };
        if let Some(Value::Array(items)) = original.get_mut(name) {
            let gone: HashSet<String> = values.iter().map(Value::to_string).collect();
            items.retain(|item| !gone.contains(&item.to_string()));
        }
    }
    for (name, value) in rest {
        merge_field(place, &mut original, name, value)?;
    }
    Ok(original)
}

fn merge_field(
    place: Place<'_>,
    original: &mut Map<String, Value>,
    name: String,
    value: Value,
) -> Result<(), PatchError> {
    if value.is_null() {
        original.remove(&name);
        return Ok(());
    }
    let (child, merge) = place.field(&name);
    let merged = match (original.remove(&name), value) {
        (Some(Value::Object(old)), Value::Object(new)) if !merge.patch_replace => {
            Value::Object(merge_objects(child, old, new)?)
        }
        (Some(Value::Array(old)), Value::Array(new)) if merge.patch_merge => {
            Value::Array(lists::merge(child, merge, &old, new)?)
        }
        (_, value) => taken(value)?,
    };
    original.insert(name, merged);
    Ok(())
}

/// A value taken from the patch as it is: without directives and nulls.
fn taken(value: Value) -> Result<Value, PatchError> {
    Ok(match value {
        Value::Object(mut map) => {
            if let Some(directive) = map.remove(DIRECTIVE)
                && directive == "delete"
            {
                return Ok(Value::Object(Map::new()));
            }
            let mut out = Map::new();
            for (name, value) in map {
                if !name.starts_with('$') && !value.is_null() {
                    out.insert(name, taken(value)?);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                match item.get(DIRECTIVE).and_then(Value::as_str) {
                    Some("delete" | "replace") => {}
                    Some("merge") => return Err(bad("merging lists cannot yet be specified in the patch")),
                    Some(other) => return Err(bad(format!("unknown patch type: {other} in map: {item}"))),
                    None => out.push(taken(item)?),
                }
            }
            Value::Array(out)
        }
        plain => plain,
    })
}

/// `$retainKeys` lists all fields that shall remain; the others go.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(keys) = keys else {
        return Err(bad("invalid patch format of retainKeys"));
    };
    let keys: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let retained = |name: &String| keys.contains(name.as_str());
    if !patch
        .iter()
        .all(|(name, value)| name.starts_with('$') || value.is_null() || retained(name))
    {
        return Err(bad("patch content doesn't match retainKeys list"));
    }
    original.retain(|name, _| retained(name));
    Ok(())
}

/// Text bare, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
