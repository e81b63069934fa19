//! `FieldsV1`: sets in JSON. A position is an object; an empty one, or one with `.`, is in the set itself.

use serde_json::{Map, Value};

use super::element;
use super::set::{Node, Set};

/// Why something is no `FieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A step in no known notation.
    #[error("invalid path element {0:?}")]
    Step(String),
    /// A position that is not an object.
    #[error("a path element's value is not an object")]
    NotAnObject,
}

impl Set {
    /// Reads the notation. What comes from outside is `foreign`; what this server has written need not be looked at
    /// as closely.
    pub fn from_json(value: &Value, foreign: bool) -> Result<Self, FieldsError> {
        let fields = value.as_object().ok_or(FieldsError::NotAnObject)?;
        let mut set = Self::default();
        for (step, value) in fields {
            // A leading "." would be the object itself, which no one owns.
            if step == "." {
                continue;
            }
            let inner = value.as_object().ok_or(FieldsError::NotAnObject)?;
            let node = Node {
                member: inner.is_empty() || inner.contains_key("."),
                below: Self::from_json(value, foreign)?,
            };
            let step = if foreign {
                element::canonical(step)?
            } else {
                Some(step.clone())
            };
            if let Some(step) = step {
                set.put(step, node);
            }
        }
        Ok(set)
    }

    /// Writes the notation.
    pub fn to_json(&self) -> Value {
        Value::Object(self.map(false))
    }

    fn map(&self, member: bool) -> Map<String, Value> {
        let mut map = Map::new();
        if member && !self.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, node) in self.iter() {
            map.insert(step.to_owned(), Value::Object(node.below.map(node.member)));
        }
        map
    }
}
