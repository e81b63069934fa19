//! The set of all fields of a (partial) object.

use serde_json::Value;

use super::element;
use super::place::{Place, Shape};
use super::set::{Node, Set};

/// All fields of the object.
pub(super) fn collect(root: Place<'_>, value: &Value) -> Set {
    let mut node = Node::default();
    walk(root, value, &mut node);
    node.below
}

fn walk(place: Place<'_>, value: &Value, node: &mut Node) {
    match (place.shape_of(&[Some(value)]), value) {
        (Shape::Leaf, _) => node.member = true,
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                let Ok(step) = element::item(&list, item) else {
                    continue;
                };
                let mut below = Node::default();
                if node.below.get(&step).is_none() {
                    walk(list.item(), item, &mut below);
                }
                below.member = true;
                node.below.put(step, below);
            }
        }
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => {
            for (name, value) in map {
                let Some(child) = place.child(name) else {
                    continue;
                };
                let mut below = Node::default();
                walk(child, value, &mut below);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                below.member |= empty || !is_declared(place, name);
                node.below.put(element::field(name), below);
            }
        }
        // Null, or a value of the wrong type, which conforming has refused.
        _ => {}
    }
}

/// Whether the name is that of a field, not of an entry of a map.
fn is_declared(place: Place<'_>, name: &str) -> bool {
    matches!(place.shape(), Shape::Struct(definition) if definition.field(name).is_some())
}

/// The place behind a step of a set.
pub(super) fn step_to<'a>(place: Place<'a>, step: &str) -> Option<Place<'a>> {
    match (place.shape(), step.strip_prefix("f:")) {
        (Shape::List(list), _) => Some(list.item()),
        (_, Some(name)) => place.child(name),
        _ => None,
    }
}

/// Makes the fields of structs members where something below them is one, so that a set can say of a struct that it is
/// there.
pub(super) fn with_structs(place: Option<Place<'_>>, set: &Set) -> Set {
    let mut out = Set::default();
    for (step, node) in set.iter() {
        let name = step.strip_prefix("f:");
        let declared = matches!((place, name), (Some(place), Some(name)) if is_declared(place, name));
        let child = place.and_then(|place| step_to(place, step));
        let below = with_structs(child, &node.below);
        out.put(
            step.to_owned(),
            Node {
                member: node.member || declared,
                below,
            },
        );
    }
    out
}
