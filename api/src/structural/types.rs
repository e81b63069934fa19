//! The schema as server-side apply sees it: the same definitions and nodes as the built-in types have.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Additional, Kind, List, Structural};
use crate::schema::{Definition, Field, Merge, Node, Schema};

/// The type of `metadata`.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

impl Structural {
    /// The types of an object of this schema; the first one is the object's.
    pub fn types(&self, name: &str) -> Schema {
        let mut types = Types {
            definitions: Vec::new(),
            copied: HashMap::new(),
        };
        types.structure(self, name, true);
        Schema::of(types.definitions)
    }
}

/// Longest name of a field in the name of a type, and longest name of a type to which more is added, in bytes: a name of a
/// megabyte would be in the names of all that is below it.
const LONGEST: (usize, usize) = (512, 4096);

/// The name of a field's type.
fn below(name: &str, field: &str) -> String {
    if name.len() > LONGEST.1 {
        return name.to_owned();
    }
    format!("{name}.{}", &field[..field.floor_char_boundary(LONGEST.0)])
}

struct Types {
    definitions: Vec<Definition>,
    /// Built-in definitions that are here as well, by their index there.
    copied: HashMap<u32, u32>,
}

impl Types {
    fn structure(&mut self, schema: &Structural, name: &str, resource: bool) -> u32 {
        let at = self.definitions.len();
        // Its place, before those of its fields.
        self.definitions.push(Definition {
            name: Cow::Owned(name.to_owned()),
            fields: Vec::new(),
            alias: None,
            atomic: schema.atomic,
            preserve_unknown: schema.preserve,
            has_always: false,
        });
        let mut fields: Vec<Field> = Vec::new();
        for (field, property) in &schema.properties {
            if resource && matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            let node = self.node(property, &below(name, field));
            fields.push(Field {
                name: Cow::Owned(field.clone()),
                node,
                required: false,
                merge: Some(Box::new(merge(property))),
            });
        }
        if resource {
            let implied = |name: &'static str, node: Node| Field {
                name: Cow::Borrowed(name),
                node,
                required: false,
                merge: None,
            };
            fields.push(implied("apiVersion", Node::String));
            fields.push(implied("kind", Node::String));
            if let Some(node) = self.metadata() {
                fields.push(implied("metadata", node));
            }
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(definition) = self.definitions.get_mut(at) {
            definition.fields = fields;
        }
        at as u32
    }

    fn node(&mut self, schema: &Structural, name: &str) -> Node {
        match schema.kind {
            None if schema.int_or_string => Node::IntOrString,
            None => Node::Any,
            Some(Kind::String) => Node::String,
            Some(Kind::Boolean) => Node::Boolean,
            Some(Kind::Integer) => Node::Int64,
            Some(Kind::Number) => Node::Number,
            Some(Kind::Array) => {
                let item = schema.items.as_ref();
                let item = item.map_or(Node::Any, |items| self.node(items, name));
                Node::List(Box::new(item))
            }
            Some(Kind::Object) => match &schema.additional {
                Additional::Schema(inner) if schema.properties.is_empty() => {
                    Node::Map(Box::new(self.node(inner, name)))
                }
                Additional::Any if schema.properties.is_empty() => Node::Map(Box::new(Node::Any)),
                _ => Node::Struct(self.structure(schema, name, schema.embedded)),
            },
        }
    }

    /// `ObjectMeta` and what it refers to, copied from the built-in types.
    fn metadata(&mut self) -> Option<Node> {
        let builtin = Schema::builtin();
        let index = builtin
            .definitions()
            .iter()
            .position(|definition| definition.name == META)?;
        Some(Node::Struct(self.copy(builtin, index as u32)?))
    }

    fn copy(&mut self, builtin: &Schema, index: u32) -> Option<u32> {
        if let Some(at) = self.copied.get(&index) {
            return Some(*at);
        }
        let mut definition = builtin.definition(index)?.clone();
        let at = self.definitions.len() as u32;
        self.copied.insert(index, at);
        self.definitions.push(definition.clone());
        for field in &mut definition.fields {
            self.renumber(builtin, &mut field.node);
        }
        if let Some(slot) = self.definitions.get_mut(at as usize) {
            *slot = definition;
        }
        Some(at)
    }

    fn renumber(&mut self, builtin: &Schema, node: &mut Node) {
        match node {
            Node::List(inner) | Node::Map(inner) => self.renumber(builtin, inner),
            Node::Struct(index) => match self.copy(builtin, *index) {
                Some(at) => *index = at,
                None => *node = Node::Any,
            },
            _ => {}
        }
    }
}

/// How a property merges. Go has no struct for it: what is empty is not left out.
fn merge(schema: &Structural) -> Merge {
    let mut merge = Merge {
        keeps_empty: true,
        atomic_map: schema.atomic,
        default: schema.default.clone(),
        ..Merge::default()
    };
    match &schema.list {
        List::Set => merge.set = true,
        List::Map(keys) => merge.map_keys = keys.iter().cloned().map(Cow::Owned).collect(),
        List::Atomic => merge.atomic = schema.kind == Some(Kind::Array),
    }
    merge
}
