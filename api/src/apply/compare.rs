//! What differs between two versions of an object.
//!
//! Upstream compares Go structs, in which some fields are always there: structs that are no pointers, and what is written
//! even if empty. The schema marks these (`value`, `required`), and they are taken as there on both sides; optional lists
//! and maps that are empty are taken as missing, as Go leaves them out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::element;
use super::place::{List, Place, Shape, keeps_empty};
use super::set::{Node, Set};
use crate::schema::{Definition, Field, Node as Type};

/// What an update came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Fields that are new or have another value.
    pub(super) changed: Set,
    /// Fields that are gone.
    pub(super) removed: Set,
}

impl Comparison {
    /// Nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// Leaves out fields with all below them.
    pub(super) fn reset(&mut self, paths: &[&[&str]]) {
        for path in paths {
            self.changed.prune(path);
            self.removed.prune(path);
        }
    }
}

/// Fields that nobody manages: those of every object, and of its metadata.
const NOBODYS: [&str; 2] = ["apiVersion", "kind"];
const NOBODYS_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

static NONE: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
static NULL: Value = Value::Null;

/// Compares two objects of the same type; what nobody manages is left out.
pub(super) fn compare(root: Place<'_>, old: &Value, new: &Value) -> Comparison {
    let mut diff = Diff::default();
    let Shape::Struct(definition) = root.shape() else {
        return Comparison::default();
    };
    let skip = |name: &str| NOBODYS.contains(&name) || name == "metadata";
    fields(root, definition, Some(old), Some(new), &skip, &mut diff);
    if let Some(place) = root.child("metadata")
        && let Shape::Struct(definition) = place.shape()
    {
        let mut inner = Diff::default();
        let skip = |name: &str| NOBODYS_METADATA.contains(&name);
        let (old, new) = (old.get("metadata"), new.get("metadata"));
        fields(place, definition, old, new, &skip, &mut inner);
        diff.put(|| element::field("metadata"), inner);
    }
    Comparison {
        changed: diff.changed.below,
        removed: diff.removed.below,
    }
}

/// Leaves out of a set what nobody manages.
pub(super) fn strip(set: &mut Set) {
    let mut nobodys = Set::of_field(&["metadata"]);
    for name in NOBODYS {
        nobodys.extend(Set::of_field(&[name]));
    }
    for name in NOBODYS_METADATA {
        nobodys.extend(Set::of_field(&["metadata", name]));
    }
    set.subtract(&nobodys);
}

#[derive(Debug, Default)]
struct Diff {
    changed: Node,
    removed: Node,
}

impl Diff {
    /// Puts what differs in one step below into this; the step is only made if it is needed.
    fn put(&mut self, step: impl FnOnce() -> String, inner: Self) {
        match (inner.changed.is_empty(), inner.removed.is_empty()) {
            (true, true) => {}
            (false, true) => self.changed.below.put(step(), inner.changed),
            (true, false) => self.removed.below.put(step(), inner.removed),
            (false, false) => {
                let step = step();
                self.changed.below.put(step.clone(), inner.changed);
                self.removed.below.put(step, inner.removed);
            }
        }
    }
}

pub(super) fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

fn walk(place: Place<'_>, old: Option<&Value>, new: Option<&Value>, diff: &mut Diff) {
    if old == new && old.is_some() {
        return;
    }
    let empty = is_empty(old) && is_empty(new);
    match place.shape_of(&[old, new]) {
        Shape::Struct(definition) if !empty || definition.has_always => {
            fields(place, definition, old, new, &|_| false, diff);
        }
        Shape::Map(inner) if !empty => entries(inner, old, new, diff),
        Shape::List(list) if !empty => items(&list, old, new, diff),
        _ => {
            diff.changed.member = new.is_some();
            diff.removed.member = new.is_none();
            return;
        }
    }
    if old.is_none() {
        diff.changed.member = true;
    } else if new.is_none() {
        diff.removed.member = true;
    }
}

/// A field as Go has it in a struct that is there.
fn effective<'a>(field: &Field, owner: Option<&'a Value>, value: Option<&'a Value>) -> Option<&'a Value> {
    owner.filter(|owner| owner.is_object())?;
    let always = field.is_always();
    let may_be_empty = always || keeps_empty(field);
    match (&field.node, value) {
        (Type::Struct(_), None) if always => Some(&*NONE),
        (_, None) if always => Some(&NULL),
        // Null is what is left of a list or map of which an apply has removed everything; it still is something.
        (Type::List(_) | Type::Map(_), Some(found))
            if !may_be_empty && !found.is_null() && is_empty(value) =>
        {
            None
        }
        _ => value,
    }
}

fn fields<'a>(
    place: Place<'a>,
    definition: &'a Definition,
    old: Option<&Value>,
    new: Option<&Value>,
    skip: &dyn Fn(&str) -> bool,
    diff: &mut Diff,
) {
    let [before, after] = [old, new].map(|value| value.and_then(Value::as_object));
    let mut one = |field: &'a Field| {
        let name = field.name.as_ref();
        if skip(name) {
            return;
        }
        let before = effective(field, old, before.and_then(|before| before.get(name)));
        let after = effective(field, new, after.and_then(|after| after.get(name)));
        if before.is_none() && after.is_none() {
            return;
        }
        let mut inner = Diff::default();
        walk(place.field(field), before, after, &mut inner);
        diff.put(|| element::field(name), inner);
    };
    if definition.has_always {
        definition.fields.iter().for_each(one);
    } else {
        // Most fields of a struct are on neither side, and a definition may have thousands of them.
        let before_names = before.into_iter().flat_map(Map::keys);
        let new_names = (after.into_iter().flat_map(Map::keys))
            .filter(|name| !before.is_some_and(|before| before.contains_key(*name)));
        for name in before_names.chain(new_names) {
            definition.field(name).into_iter().for_each(&mut one);
        }
    }
    if definition.preserve_unknown {
        let unknown = |name: &str| definition.field(name).is_none() && !skip(name);
        pairs(place.deduced(), old, new, &unknown, diff);
    }
}

fn entries(inner: Place<'_>, old: Option<&Value>, new: Option<&Value>, diff: &mut Diff) {
    pairs(inner, old, new, &|_| true, diff);
}

fn pairs(
    inner: Place<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    wanted: &dyn Fn(&str) -> bool,
    diff: &mut Diff,
) {
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    for (name, before) in old.into_iter().flatten().filter(|(name, _)| wanted(name)) {
        let mut below = Diff::default();
        walk(inner, Some(before), new.and_then(|new| new.get(name)), &mut below);
        diff.put(|| element::field(name), below);
    }
    for (name, after) in new.into_iter().flatten().filter(|(name, _)| wanted(name)) {
        if !old.is_some_and(|old| old.contains_key(name)) {
            let mut below = Diff::default();
            walk(inner, None, Some(after), &mut below);
            diff.put(|| element::field(name), below);
        }
    }
}

/// The items of a list by their step. One that appears several times is compared as one.
pub(super) fn index<'a>(list: &List<'_>, value: Option<&'a Value>) -> BTreeMap<String, Vec<&'a Value>> {
    let mut found: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for value in value.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(step) = element::item(list, value) {
            found.entry(step).or_default().push(value);
        }
    }
    found
}

fn items(list: &List<'_>, old: Option<&Value>, new: Option<&Value>, diff: &mut Diff) {
    let (mut old, new) = (index(list, old), index(list, new));
    for (step, after) in new {
        let before = old.remove(&step).unwrap_or_default();
        let mut below = Diff::default();
        match (before.as_slice(), after.as_slice()) {
            ([] | [_], [after]) => walk(list.item(), before.first().copied(), Some(after), &mut below),
            (before, after) => below.changed.member = before != after,
        }
        diff.put(|| step, below);
    }
    for (step, before) in old {
        let mut below = Diff::default();
        match before.as_slice() {
            [before] => walk(list.item(), Some(before), None, &mut below),
            _ => below.removed.member = true,
        }
        diff.put(|| step, below);
    }
}
