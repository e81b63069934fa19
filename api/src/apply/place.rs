//! What the schema says of a position in an object.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::schema::{Definition, Field, Merge, Node, Schema, Type};

/// A position: its type, and how it merges there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    schema: &'a Schema,
    node: At<'a>,
    merge: Option<&'a Merge>,
}

#[derive(Debug, Clone, Copy)]
enum At<'a> {
    Node(&'a Node),
    Root(&'a Definition),
    /// Not described: maps merge, all else does not.
    Deduced,
}

/// How a position merges.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// As a whole: plain values, atomic lists, maps and structs.
    Leaf,
    /// Item by item.
    List(List<'a>),
    /// Field by field.
    Struct(&'a Definition),
    /// Entry by entry.
    Map(Place<'a>),
}

/// A list that merges item by item.
#[derive(Debug, Clone, Copy)]
pub(super) enum List<'a> {
    /// Items are told apart by these fields.
    Keyed {
        /// The fields.
        keys: &'a [Cow<'static, str>],
        /// The items.
        item: Place<'a>,
    },
    /// Items are told apart by their value.
    Set {
        /// The items.
        item: Place<'a>,
    },
}

/// Whether an empty list or map is something else than none.
pub(super) fn keeps_empty(field: &Field) -> bool {
    field.merge.as_ref().is_some_and(|merge| merge.keeps_empty)
}

impl<'a> List<'a> {
    /// The items.
    pub(super) fn item(&self) -> Place<'a> {
        match self {
            Self::Keyed { item, .. } | Self::Set { item } => *item,
        }
    }

    /// What a key is where an item leaves it out.
    pub(super) fn key_default(&self, key: &str) -> Option<Value> {
        let field = self.item().definition()?.field(key)?;
        if let Some(default) = field.merge.as_ref().and_then(|merge| merge.default.as_ref()) {
            return Some(default.clone());
        }
        if !field.required {
            return None;
        }
        match field.node {
            Node::String => Some(Value::from("")),
            Node::Int32 | Node::Int64 | Node::Number => Some(json!(0)),
            _ => None,
        }
    }
}

impl<'a> Place<'a> {
    /// The whole object.
    pub(super) fn root(kind: Type<'a>) -> Self {
        Self {
            schema: kind.schema(),
            node: At::Root(kind.definition()),
            merge: None,
        }
    }

    fn node(self, node: &'a Node, merge: Option<&'a Merge>) -> Self {
        Self {
            node: At::Node(node),
            merge,
            ..self
        }
    }

    /// A field of a struct here.
    pub(super) fn field(self, field: &'a Field) -> Self {
        self.node(&field.node, field.merge.as_deref())
    }

    /// A field that the struct here does not declare, where it keeps such fields.
    pub(super) fn deduced(self) -> Self {
        Self {
            node: At::Deduced,
            merge: None,
            ..self
        }
    }

    /// The type here, if it is described by one node.
    pub(super) fn plain(self) -> Option<&'a Node> {
        match self.node {
            At::Node(node) => Some(node),
            At::Root(_) | At::Deduced => None,
        }
    }

    /// The struct here, whether it merges field by field or as a whole.
    pub(super) fn definition(self) -> Option<&'a Definition> {
        match self.node {
            At::Root(definition) => Some(definition),
            At::Node(Node::Struct(index)) => self.schema.definition(*index),
            _ => None,
        }
    }

    /// What is inside, for those who look into things that merge as a whole.
    pub(super) fn inside(self) -> Option<Self> {
        match self.node {
            At::Node(Node::List(inner) | Node::Map(inner)) => Some(self.node(inner, None)),
            _ => None,
        }
    }

    /// How it merges.
    pub(super) fn shape(self) -> Shape<'a> {
        let merge = self.merge;
        if let Some(definition) = self.definition() {
            let atomic = match merge {
                Some(merge) => merge.atomic_map || (definition.atomic && !merge.granular),
                None => definition.atomic,
            };
            return if atomic {
                Shape::Leaf
            } else {
                Shape::Struct(definition)
            };
        }
        match self.node {
            At::Deduced => Shape::Map(self),
            At::Node(Node::Map(inner)) if !merge.is_some_and(|merge| merge.atomic_map) => {
                Shape::Map(self.node(inner, None))
            }
            At::Node(Node::List(inner)) => match merge {
                Some(merge) if !merge.map_keys.is_empty() => Shape::List(List::Keyed {
                    keys: &merge.map_keys,
                    item: self.node(inner, None),
                }),
                Some(merge) if merge.set => Shape::List(List::Set {
                    item: self.node(inner, None),
                }),
                _ => Shape::Leaf,
            },
            _ => Shape::Leaf,
        }
    }

    /// How it merges where these values are: what is not described is told by the values.
    pub(super) fn shape_of(self, values: &[Option<&Value>]) -> Shape<'a> {
        match self.node {
            At::Deduced if !values.iter().flatten().all(|value| value.is_object()) => Shape::Leaf,
            _ => self.shape(),
        }
    }

    /// Whether the field here is an optional list or map, which Go leaves out if it is empty.
    pub(super) fn omits_empty(self, name: &str) -> bool {
        let Shape::Struct(definition) = self.shape() else {
            return false;
        };
        definition.field(name).is_some_and(|field| {
            !field.is_always() && !keeps_empty(field) && matches!(field.node, Node::List(_) | Node::Map(_))
        })
    }

    /// The place of a field or entry of the map or struct here; `None` if the struct does not know it.
    pub(super) fn child(self, name: &str) -> Option<Self> {
        match self.shape() {
            Shape::Struct(definition) => match definition.field(name) {
                Some(field) => Some(self.field(field)),
                None => definition.preserve_unknown.then(|| self.deduced()),
            },
            Shape::Map(inner) => Some(inner),
            Shape::Leaf | Shape::List(_) => None,
        }
    }
}
