//! Removes fields from an object.

use serde_json::{Map, Value};

use super::element;
use super::place::{Place, Shape};
use super::set::Set;

/// The object without the fields of the set. What becomes empty becomes null, which conforming drops.
pub(super) fn remove(root: Place<'_>, value: &Value, gone: &Set) -> Value {
    if gone.is_empty() {
        return value.clone();
    }
    walk(root, value, gone)
}

fn walk(place: Place<'_>, value: &Value, gone: &Set) -> Value {
    match (place.shape_of(&[Some(value)]), value) {
        (Shape::List(list), Value::Array(items)) => {
            let mut left = Vec::new();
            for item in items {
                let Ok(step) = element::item(&list, item) else {
                    left.push(item.clone());
                    continue;
                };
                match gone.get(&step) {
                    Some(node) if node.member => {}
                    Some(node) => left.push(walk(list.item(), item, &node.below)),
                    None => left.push(item.clone()),
                }
            }
            if left.is_empty() {
                Value::Null
            } else {
                Value::Array(left)
            }
        }
        (Shape::Struct(_) | Shape::Map(_), Value::Object(map)) => {
            let mut left = Map::new();
            for (name, value) in map {
                let value = match gone.get(&element::field(name)) {
                    Some(node) if node.member => continue,
                    Some(node) => match place.child(name) {
                        Some(child) => walk(child, value, &node.below),
                        None => value.clone(),
                    },
                    None => value.clone(),
                };
                left.insert(name.clone(), value);
            }
            if left.is_empty() {
                Value::Null
            } else {
                Value::Object(left)
            }
        }
        (Shape::Leaf, Value::Array(_) | Value::Object(_)) => Value::Null,
        (_, plain) => plain.clone(),
    }
}
