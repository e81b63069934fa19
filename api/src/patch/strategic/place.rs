//! Where in the schema a merge is.

use crate::schema::{Definition, Merge, Node, Schema, Type};

/// What does not say how it merges: objects do, lists do not.
static DEFAULT: Merge = Merge {
    patch_merge: false,
    patch_key: "",
    retain_keys: false,
    patch_replace: false,
    map_keys: Vec::new(),
    set: false,
    atomic: false,
    atomic_map: false,
    granular: false,
    value: false,
    keeps_empty: false,
    default: None,
};

/// The type of the object (or of the items of the list) being merged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    schema: &'a Schema,
    at: At<'a>,
}

#[derive(Debug, Clone, Copy)]
enum At<'a> {
    Struct(&'a Definition),
    Map(&'a Node),
    Unknown,
}

impl<'a> Place<'a> {
    /// The whole object.
    pub(super) fn of(kind: Type<'a>) -> Self {
        Self {
            schema: kind.schema(),
            at: At::Struct(kind.definition()),
        }
    }

    /// The type behind a field (of its items, for a list), and how it merges.
    pub(super) fn field(self, name: &str) -> (Self, &'a Merge) {
        let (node, merge) = match self.at {
            At::Struct(definition) => match definition.field(name) {
                Some(field) => (Some(&field.node), field.merge.as_deref()),
                None => (None, None),
            },
            At::Map(inner) => (Some(inner), None),
            At::Unknown => (None, None),
        };
        let at = self.at_node(node);
        (Self { at, ..self }, merge.unwrap_or(&DEFAULT))
    }

    fn at_node(self, node: Option<&'a Node>) -> At<'a> {
        match node {
            Some(Node::List(item)) => self.at_node(Some(item)),
            Some(Node::Struct(index)) => self.schema.definition(*index).map_or(At::Unknown, At::Struct),
            Some(Node::Map(inner)) => At::Map(inner),
            _ => At::Unknown,
        }
    }

    /// Name of the type, for messages.
    pub(super) fn name(self) -> &'a str {
        match self.at {
            At::Struct(definition) => definition.short_name(),
            At::Map(_) | At::Unknown => "",
        }
    }
}
