//! `matchLabelKeys` and `mismatchLabelKeys`: selectors by the labels that the pod itself has
//! (`applyMatchLabelKeysAndMismatchLabelKeys`, `validateMatchLabelKeysAndMismatchLabelKeys`).

use std::collections::{HashMap, HashSet};
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Map, Value, json};

use super::affinity::{PREFERRED, REQUIRED};
use crate::kinds::json::{entries, items, list, text};

/// Longest value of a label, in bytes.
const LONGEST: usize = 63;
/// Most requirements that are added: an object with as many is larger than any that is stored.
const MOST_MERGED: usize = 100_000;

/// Adds to the terms of a new pod's affinities what its labels say: the scheduler reads selectors only, and the pod's
/// labels may change later.
pub(in crate::kinds) fn merge(pod: &mut Value) {
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    let labels = labels.cloned().unwrap_or_default();
    let mut room = MOST_MERGED;
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = pod.pointer_mut(&format!("/spec/affinity/{kind}"));
        let Some(affinity) = affinity.and_then(Value::as_object_mut) else {
            continue;
        };
        for term in list(affinity, REQUIRED) {
            merge_term(term, &labels, &mut room);
        }
        for preferred in list(affinity, PREFERRED) {
            let term = preferred.get_mut("podAffinityTerm");
            if let Some(term) = term.and_then(Value::as_object_mut) {
                merge_term(term, &labels, &mut room);
            }
        }
    }
}

fn merge_term(term: &mut Map<String, Value>, labels: &Map<String, Value>, room: &mut usize) {
    let mut added = Vec::new();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = term.get(field).and_then(Value::as_array);
        for key in keys.into_iter().flatten().filter_map(Value::as_str) {
            // Nothing of it is validated yet: a value that is too long for a label is refused later, and a key that comes
            // often is refused as one that comes twice.
            let value = labels.get(key).and_then(Value::as_str);
            let Some(value) = value.filter(|value| value.len() <= LONGEST) else {
                continue;
            };
            let times = times.entry(key).or_default();
            *times += 1;
            if *times <= 2 && *room > 0 {
                *room -= 1;
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    // A selector that is not there selects nothing, with more requirements as well.
    let selector = term.get_mut("labelSelector").and_then(Value::as_object_mut);
    let Some(selector) = selector.filter(|_| !added.is_empty()) else {
        return;
    };
    let expressions = selector.entry("matchExpressions").or_insert_with(|| json!([]));
    if let Some(expressions) = expressions.as_array_mut() {
        expressions.append(&mut added);
    }
}

/// Complaints about both fields of a term, into whose selector they have been merged if it is a pod's.
pub(super) fn check_term(errors: &mut Vec<FieldError>, term: &Value, path: Arguments<'_>) {
    let (same, other) = (items(term, "/matchLabelKeys"), items(term, "/mismatchLabelKeys"));
    check_names(errors, term, "matchLabelKeys", path);
    check_names(errors, term, "mismatchLabelKeys", path);
    let indexes = same.iter().enumerate();
    let indexes: HashMap<&str, usize> = indexes
        .filter_map(|(index, key)| Some((key.as_str()?, index)))
        .collect();
    let mut seen: HashSet<&str> = entries(term, "/labelSelector/matchLabels")
        .map(|(key, _)| key.as_str())
        .collect();
    for expression in items(term, "/labelSelector/matchExpressions") {
        let key = text(expression, "/key");
        // One of the two was merged.
        if !seen.insert(key)
            && let Some(index) = indexes.get(key)
        {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(format!("{path}[{index}]"), key, detail));
        }
    }
    let other: HashSet<&str> = other.iter().filter_map(Value::as_str).collect();
    for (index, key) in same.iter().enumerate() {
        if let Some(key) = key.as_str().filter(|key| other.contains(key)) {
            let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
            errors.push(FieldError::invalid(
                format!("{path}.matchLabelKeys[{index}]"),
                key,
                detail,
            ));
        }
    }
}

fn check_names(errors: &mut Vec<FieldError>, term: &Value, field: &str, path: Arguments<'_>) {
    let path = format_args!("{path}.{field}");
    let keys = items(&term[field], "");
    if !keys.is_empty() && !term.get("labelSelector").is_some_and(Value::is_object) {
        let detail = "must not be specified when labelSelector is not set";
        errors.push(FieldError::forbidden(path, detail));
        return;
    }
    for (index, key) in keys.iter().filter_map(Value::as_str).enumerate() {
        check_name(errors, key, format_args!("{path}[{index}]"));
    }
}

fn check_name(errors: &mut Vec<FieldError>, key: &str, path: Arguments<'_>) {
    errors.extend(FieldError::complaints(path, key, names::qualified_name(key)));
}

/// Complaints about `matchLabelKeys` of a spread constraint, which the scheduler adds to the selector.
pub(super) fn check_spread(errors: &mut Vec<FieldError>, constraint: &Value, path: Arguments<'_>) {
    let path = format_args!("{path}.matchLabelKeys");
    let keys = items(constraint, "/matchLabelKeys");
    if keys.is_empty() {
        return;
    }
    if !constraint.get("labelSelector").is_some_and(Value::is_object) {
        let detail = "must not be specified when labelSelector is not set";
        errors.push(FieldError::forbidden(path, detail));
    }
    let labels = entries(constraint, "/labelSelector/matchLabels").map(|(key, _)| key.as_str());
    let expressions = items(constraint, "/labelSelector/matchExpressions").iter();
    let expressions = expressions.map(|expression| text(expression, "/key"));
    let selected: HashSet<&str> = labels.chain(expressions).collect();
    for (index, key) in keys.iter().filter_map(Value::as_str).enumerate() {
        let path = format_args!("{path}[{index}]");
        check_name(errors, key, path);
        if selected.contains(key) {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(path, key, detail));
        }
    }
}
