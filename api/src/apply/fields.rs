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
    pub fn into_json(self) -> Value {
        Value::Object(self.into_map(false))
    }

    fn into_map(self, member: bool) -> Map<String, Value> {
        let dot = (member && !self.is_empty()).then(|| (".".to_owned(), Value::Object(Map::new())));
        // In order already, so that the map is built at once.
        let steps = self
            .into_steps()
            .map(|(step, node)| (step, Value::Object(node.below.into_map(node.member))));
        dot.into_iter().chain(steps).collect()
    }
}
