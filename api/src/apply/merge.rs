//! Merges a partial object into a whole one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::compare::{index, is_empty};
use super::element;
use super::place::{List, Place, Shape};

/// The object with what the configuration says.
pub(super) fn merge(root: Place<'_>, live: &Value, config: &Value) -> Value {
    walk(root, Some(live), Some(config)).unwrap_or_default()
}

/// `None` on one side: it says nothing here.
fn walk(place: Place<'_>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let either = || config.or(live).cloned();
    if is_empty(live) && is_empty(config) {
        return either();
    }
    match place.shape_of(&[live, config]) {
        Shape::Leaf => either(),
        Shape::List(list) => {
            let items = items(&list, live, config);
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Shape::Struct(_) | Shape::Map(_) => {
            let fields = fields(place, live, config);
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
    }
}

fn fields(place: Place<'_>, live: Option<&Value>, config: Option<&Value>) -> Map<String, Value> {
    let (live, config) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
    let mut merged = Map::new();
    for (name, value) in live.into_iter().flatten() {
        let other = config.and_then(|config| config.get(name));
        let value = match (place.child(name), other) {
            (Some(child), Some(_)) => walk(child, Some(value), other),
            (_, other) => Some(other.unwrap_or(value).clone()),
        };
        if let Some(value) = value {
            merged.insert(name.clone(), value);
        }
    }
    for (name, value) in config.into_iter().flatten() {
        if !live.is_some_and(|live| live.contains_key(name)) {
            let value = match place.child(name) {
                Some(child) => walk(child, None, Some(value)),
                None => Some(value.clone()),
            };
            if let Some(value) = value {
                merged.insert(name.clone(), value);
            }
        }
    }
    merged.retain(|name, value| value.is_null() || !is_empty(Some(value)) || !place.omits_empty(name));
    merged
}

/// Merges lists. Items of the configuration keep its order; items that only the live list has stay where they are as far
/// as that order allows.
fn items(list: &List<'_>, live: Option<&Value>, config: Option<&Value>) -> Vec<Value> {
    let ours = index(list, live);
    let theirs = index(list, config);
    let mut left: VecDeque<String> = order(list, live).into();
    let mut right: VecDeque<String> = order(list, config).into();
    let mut shared: VecDeque<String> = right
        .iter()
        .filter(|step| ours.contains_key(*step))
        .cloned()
        .collect();
    let mut out = Vec::new();
    loop {
        match (left.front(), right.front()) {
            (None, None) => return out,
            (Some(step), Some(other)) if step == other => {
                merged(list, &ours, &theirs, step, &mut out);
                left.pop_front();
                right.pop_front();
                shared.pop_front();
            }
            // Also in the configuration, but its turn comes later (or has been).
            (Some(step), Some(_))
                if theirs.contains_key(step) && shared.front().is_some_and(|next| next != step) =>
            {
                left.pop_front();
            }
            (Some(step), _) if !theirs.contains_key(step) => {
                merged(list, &ours, &theirs, step, &mut out);
                left.pop_front();
            }
            (_, Some(step)) => {
                merged(list, &ours, &theirs, step, &mut out);
                if shared.front() == Some(step) {
                    shared.pop_front();
                }
                right.pop_front();
            }
            // Already taken with the configuration's.
            (Some(_), None) => drop(left.pop_front()),
        }
    }
}

type Index<'a> = BTreeMap<String, Vec<&'a Value>>;

fn merged(list: &List<'_>, ours: &Index<'_>, theirs: &Index<'_>, step: &str, out: &mut Vec<Value>) {
    let ours = ours.get(step).map_or(&[][..], Vec::as_slice);
    let theirs = theirs.get(step).map_or(&[][..], Vec::as_slice);
    match (ours, theirs) {
        // The live list may have duplicates; the configuration replaces them all.
        (ours, []) => out.extend(ours.iter().map(|item| (*item).clone())),
        ([ours], [theirs, ..]) => out.extend(walk(list.item(), Some(ours), Some(theirs))),
        (_, [theirs, ..]) => out.extend(walk(list.item(), None, Some(theirs))),
    }
}

fn order(list: &List<'_>, value: Option<&Value>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| element::item(list, item).ok())
        .filter(|step| seen.insert(step.clone()))
        .collect()
}
