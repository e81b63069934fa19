//! Complaints about updates, without those of what was there before and stays: an object that was let in by a version
//! whose rules were others, or before its schema became stricter, may be scaled, labelled and deleted (KEP-4008, ratcheting).

mod tolerated;

use std::collections::{HashMap, HashSet};

use keelson_api::status::FieldError;
use serde_json::Value;

use super::Kind;
use super::metadata::validate_metadata_update;

/// Most ends that the name of a step may have; a field with more is not looked for.
const MOST_ENDS: usize = 256;

/// Complaints about a change of an object or of its subresource, after the strategy's preparation.
pub fn validate_update(kind: &Kind, part: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = validate_metadata_update(kind, part, old, new);
    errors.extend(kind.strategy.validate_update(part, old, new));
    if !errors.is_empty() {
        let before = kind.strategy.validate_create(old);
        drop_known(&mut errors, &before, old, new);
        if kind.custom.is_none() {
            tolerated::forgive(&mut errors, &before);
        }
    }
    errors
}

/// Drops the errors that the old object has as well, about values that have not changed. An equal error alone says little:
/// it shows the start of a long value, and there may be others that nobody has looked for.
fn drop_known(errors: &mut Vec<FieldError>, before: &[FieldError], old: &Value, new: &Value) {
    let before: HashSet<&FieldError> = before.iter().collect();
    let same_object = rest(old).eq(rest(new));
    let finished = !errors.iter().any(|error| error.unfinished);
    let mut seen: HashMap<String, bool> = HashMap::new();
    errors.retain(|error| {
        if !before.contains(error) {
            return true;
        }
        if same_object && !of_metadata(&error.field) {
            return false;
        }
        let is_same = || is_same(&error.field, old, new);
        // Several errors are of one field, which may be most of the object.
        !(finished && *seen.entry(error.field.clone()).or_insert_with(is_same))
    });
}

/// What is in an object beside its metadata, some of which changes with every write.
fn rest(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(name, _)| *name != "metadata")
}

fn of_metadata(field: &str) -> bool {
    let rest = field.strip_prefix("metadata");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether a field (`spec.containers[0].name`, `metadata.labels[a.b/c]`) has the same value in both objects. Where its text
/// leads to no value, or to more than one, the last value that is certain decides, which has the field in it.
fn is_same(field: &str, old: &Value, new: &Value) -> bool {
    let (mut left, mut old, mut new) = (field, old, new);
    while !left.is_empty() {
        let Some((was, is, rest)) = step(left, old, new) else {
            return old == new;
        };
        match (was, is) {
            (Some(was), Some(is)) => (old, new, left) = (was, is, rest),
            // What is missing in both.
            (None, None) => return is_plain(left) || old == new,
            _ => return false,
        }
    }
    old == new
}

/// The values to which the next step of a field leads, and what is left of it.
fn step<'a>(left: &'a str, old: &'a Value, new: &'a Value) -> Option<Step<'a>> {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let (index, left) = left.strip_prefix('[')?.split_once(']')?;
            let index: usize = index.parse().ok()?;
            Some((old.get(index), new.get(index), left))
        }
        (Value::Object(before), Value::Object(after)) => {
            let is_there = |name: &str| before.contains_key(name) || after.contains_key(name);
            let names = names(left)?;
            let mut found = names.iter().filter(|(name, _)| is_there(name));
            match (found.next(), found.next()) {
                (Some((name, left)), None) => Some((before.get(*name), after.get(*name), *left)),
                // Names may have dots and brackets.
                (Some(_), Some(_)) => None,
                // Upstream's paths of what labels and annotations a template has leave `metadata` out.
                (None, _) if of_template(left) && is_there("metadata") && is_there("spec") => {
                    Some((before.get("metadata"), after.get("metadata"), left))
                }
                (None, _) => Some((None, None, left)),
            }
        }
        _ => None,
    }
}

type Step<'a> = (Option<&'a Value>, Option<&'a Value>, &'a str);

/// The names that the next step of a field can have, each with what comes after it; none if there are too many.
fn names(left: &str) -> Option<Vec<(&str, &str)>> {
    let (left, ends, width): (_, &[char], _) = match left.strip_prefix('[') {
        Some(left) => (left, &[']'], 1),
        None => (left.strip_prefix('.').unwrap_or(left), &['.', '['], 0),
    };
    let ends = left.match_indices(ends).map(|(at, _)| at);
    let all = if width == 0 { Some(left.len()) } else { None };
    let names: Vec<_> = ends
        .chain(all)
        .take(MOST_ENDS + 1)
        .map(|at| (&left[..at], &left[at + width..]))
        .collect();
    let names = (names.len() <= MOST_ENDS).then_some(names)?;
    let follows = |left: &str| left.is_empty() || left.starts_with(['.', '[']);
    Some(names.into_iter().filter(|(_, left)| follows(left)).collect())
}

/// Whether this leads to one of a template's labels or annotations, when it comes after the template's field.
fn of_template(left: &str) -> bool {
    let maps = [".labels", ".annotations"].into_iter();
    let mut rests = maps.filter_map(|map| left.strip_prefix(map));
    rests.any(|rest| rest.starts_with(['.', '[']))
}

/// Whether this is one name and nothing else, however it is read.
fn is_plain(left: &str) -> bool {
    let name = left.strip_prefix('.').unwrap_or(left);
    !name.is_empty() && !name.contains(['.', '[', ']'])
}

#[cfg(test)]
mod tests;
