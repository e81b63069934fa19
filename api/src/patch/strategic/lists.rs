//! Merging of lists.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::order::{Places, identity, in_order, partition};
use super::{DIRECTIVE, ORDER, PatchError, Place, bad, merge_objects, taken};
use crate::schema::Merge;

/// Merges a list of the patch into the original one.
pub(super) fn merge(
    place: Place<'_>,
    merge: &Merge,
    original: &[Value],
    patch: Vec<Value>,
) -> Result<Vec<Value>, PatchError> {
    let all = || original.iter().chain(&patch);
    if all().any(Value::is_array) {
        return Err(bad("lists of lists are not supported"));
    }
    let key = merge.patch_key;
    if !all().any(Value::is_object) {
        let mut seen = HashSet::new();
        let merged = all().filter(|item| seen.insert(identity(item, "")));
        let (patch, original) = (Places::of(&patch, ""), Places::of(original, ""));
        let (ours, others) = partition(merged.cloned().collect(), &patch);
        return Ok(in_order(ours, others, &patch, &original));
    }
    if key.is_empty() {
        return Err(bad(format!(
            "cannot merge lists without merge key for {}",
            place.name()
        )));
    }
    let (mut merged, patch) = directives(original.to_vec(), patch, key)?;
    let mut places = HashMap::with_capacity(merged.len() + patch.len());
    for (at, item) in merged.iter().enumerate() {
        places.entry(identity(item, key)).or_insert(at);
    }
    for value in &patch {
        let item = object_with_key(value, key)?;
        let same = places.get(&identity(value, key)).copied();
        if let Some(slot) = same.and_then(|at| merged.get_mut(at)) {
            let old = std::mem::take(slot);
            let Value::Object(old) = old else {
                return Err(no_key(&old, key));
            };
            *slot = Value::Object(merge_objects(place, old, item.clone())?);
        } else {
            let new = taken(Value::Object(item.clone()))?;
            places.entry(identity(&new, key)).or_insert(merged.len());
            merged.push(new);
        }
    }
    let (patch, original) = (Places::of(&patch, key), Places::of(original, key));
    let (ours, others) = partition(merged, &patch);
    Ok(in_order(ours, others, &patch, &original))
}

fn no_key(item: &Value, key: &str) -> PatchError {
    bad(format!("map: {item} does not contain declared merge key: {key}"))
}

fn object_with_key<'a>(item: &'a Value, key: &str) -> Result<&'a Map<String, Value>, PatchError> {
    item.as_object()
        .filter(|map| map.contains_key(key))
        .ok_or_else(|| no_key(item, key))
}

/// Carries out the items that are directives: `delete` removes the items with its key, `replace` starts the list anew.
/// Returns the original list as it is then, and the other items of the patch.
fn directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::with_capacity(patch.len());
    let (mut replace, mut deleted) = (false, HashSet::new());
    for item in patch {
        match item.get(DIRECTIVE) {
            None => rest.push(item),
            Some(Value::String(directive)) => match directive.as_str() {
                "delete" => {
                    object_with_key(&item, key)?;
                    deleted.insert(identity(&item, key));
                }
                "replace" => replace = true,
                "merge" => return Err(bad("merging lists cannot yet be specified in the patch")),
                other => return Err(bad(format!("unknown patch type: {other} in map: {item}"))),
            },
            Some(other) => return Err(bad(format!("unknown patch type: {other} in map: {item}"))),
        }
    }
    if replace {
        let items = rest.into_iter().map(taken).collect::<Result<_, _>>()?;
        return Ok((items, Vec::new()));
    }
    if !deleted.is_empty() {
        original.retain(|item| !deleted.contains(&identity(item, key)));
    }
    Ok((original, rest))
}

/// Carries out `$setElementOrder/LIST`: merges the list, then puts its items in that order. Items that only the
/// server has stay near where they were.
pub(super) fn ordered(
    place: Place<'_>,
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|name| name.starts_with(ORDER))
        .cloned()
        .collect();
    for directive in directives {
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return Err(bad("invalid patch format of setElementOrder list"));
        };
        let name = directive.strip_prefix(ORDER).unwrap_or_default();
        let (child, rule) = place.field(name);
        let key = rule.patch_key;
        let old = match original.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Array(items)) => Some(items.clone()),
            Some(other) => return Err(bad(format!("expected a list, but received {other}"))),
        };
        let new = match patch.remove(name) {
            None => None,
            // The list is to go; the order of nothing is nothing.
            Some(Value::Null) => {
                original.remove(name);
                continue;
            }
            Some(Value::Array(items)) => Some(items),
            Some(other) => return Err(bad(format!("expected a list, but received {other}"))),
        };
        let places = Places::of(&order, key);
        if let Some(new) = &new {
            check_order(new, &order, &places)?;
        }
        let merged = match (old.clone(), new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => match taken(Value::Array(new))? {
                Value::Array(items) => items,
                _ => Vec::new(),
            },
            (Some(old), Some(new)) if rule.patch_merge => merge(child, rule, &old, new)?,
            (Some(_), Some(new)) => new,
        };
        let (ours, others) = partition(merged, &places);
        let merged = in_order(ours, others, &places, &Places::of(&old.unwrap_or_default(), key));
        original.insert(name.to_owned(), Value::Array(merged));
    }
    Ok(())
}

/// Every item of the patch that is not a directive appears in the order.
fn check_order(patch: &[Value], order: &[Value], places: &Places<'_>) -> Result<(), PatchError> {
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if places.get(item).is_none() {
            return Err(bad(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(patch.to_vec()),
                Value::from(order.to_vec())
            )));
        }
    }
    Ok(())
}
