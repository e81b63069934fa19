//! The schemas of Kubernetes' types: what fields they have, of what type, and how their lists merge.
//!
//! Built-in types come from three files in `api/schema`, embedded in the binary and parsed on first use:
//! - `v1_33.types`, generated: a line `NAME [@GROUP/VERSION/KIND] [= TYPE]` starts a definition, and each line after
//!   it that begins with a space is a field: `NAME[!] TYPE`, with `!` when it is required. A type is a word (`string`,
//!   `int32`, `quantity`, ...), the name of a definition, `[]TYPE` or `map:TYPE`.
//! - `v1_33.lists`, by hand: merge keys and list types.
//! - `v1_33.docs`, generated: descriptions, read only for OpenAPI documents and never kept in memory.
//!
//! `conform` walks an object along its schema; `parse` reads JSON and notices duplicate fields; `order` says in which order
//! Go's decoder would have told what was found.

mod conform;
mod load;
mod mistyped;
mod order;
mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

pub use conform::Conformed;
pub use mistyped::TypeError;
pub use order::in_document_order;
pub use parse::{ParseError, Parsed, parse, parse_from};

pub(crate) use load::{DOCS, LISTS, TYPES, list_line};

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Anything.
    Any,
    /// An object with any fields.
    Object,
    /// Text.
    String,
    /// Base64.
    Bytes,
    /// True or false.
    Boolean,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A floating-point number.
    Number,
    /// A `resource.Quantity`.
    Quantity,
    /// A `metav1.Time`.
    Time,
    /// A `metav1.MicroTime`.
    MicroTime,
    /// A number or text.
    IntOrString,
    /// A struct: index of its definition.
    Struct(u32),
    /// A list.
    List(Box<Node>),
    /// A map from text.
    Map(Box<Node>),
}

/// How a list or object merges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merge {
    /// Strategic merge patch merges the list instead of replacing it.
    pub patch_merge: bool,
    /// The field by which list items are told apart in strategic merge patches; empty for lists of plain values.
    pub patch_key: &'static str,
    /// Strategic merge patch clears fields that the patch does not name in `$retainKeys`.
    pub retain_keys: bool,
    /// Strategic merge patch replaces the object as a whole.
    pub patch_replace: bool,
    /// `x-kubernetes-list-map-keys`; not empty for lists of type map.
    pub map_keys: Vec<Cow<'static, str>>,
    /// `x-kubernetes-list-type: set`.
    pub set: bool,
    /// `x-kubernetes-list-type: atomic`.
    pub atomic: bool,
    /// `x-kubernetes-map-type: atomic`.
    pub atomic_map: bool,
    /// `x-kubernetes-map-type: granular`, where the struct itself is atomic.
    pub granular: bool,
    /// Go's struct holds the value itself, not a pointer to it, so that it is always there.
    pub value: bool,
    /// What is empty is kept: there is no Go struct that would leave it out (custom resources).
    pub keeps_empty: bool,
    /// What the field is where it is left out and keys of a list need it, if there is such a thing.
    pub default: Option<Value>,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// JSON name.
    pub name: Cow<'static, str>,
    /// Type.
    pub node: Node,
    /// Whether it must be there. Upstream does not enforce this on decoding.
    pub required: bool,
    /// How it merges, if that is not by default.
    pub merge: Option<Box<Merge>>,
}

/// A struct, or a name for a plain type.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Full name, e.g. `io.k8s.api.core.v1.Pod`.
    pub name: Cow<'static, str>,
    /// Fields, sorted by name.
    pub fields: Vec<Field>,
    /// The plain type that this is a name for.
    pub alias: Option<Node>,
    /// Merges as a whole (`x-kubernetes-map-type: atomic` on the struct itself).
    pub atomic: bool,
    /// Keep fields that are not in the schema (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// Whether it has a field that [`Field::is_always`]; definitions of clients, which may have very many fields, have none.
    pub has_always: bool,
}

impl Field {
    /// Whether Go's struct always has it: it holds the value itself, or writes it even if it is empty.
    pub fn is_always(&self) -> bool {
        self.required || self.merge.as_ref().is_some_and(|merge| merge.value)
    }
}

impl Definition {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self
            .fields
            .binary_search_by(|field| field.name.as_ref().cmp(name))
            .ok()?;
        self.fields.get(at)
    }

    /// The name as Go has it: the last part.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// A set of definitions that refer to each other.
#[derive(Debug, Default)]
pub struct Schema {
    definitions: Vec<Definition>,
    /// `group/version/kind` to definition.
    kinds: BTreeMap<&'static str, u32>,
}

static BUILTIN: LazyLock<Schema> = LazyLock::new(load::builtin);

impl Schema {
    /// The built-in types. The first call parses them (about a millisecond).
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// These definitions; the first is that of the objects, see [`Schema::first`].
    pub fn of(definitions: Vec<Definition>) -> Self {
        Self {
            definitions,
            kinds: BTreeMap::new(),
        }
    }

    /// The first definition.
    pub fn first(&self) -> Option<Type<'_>> {
        self.definitions.first().map(|definition| Type {
            schema: self,
            definition,
        })
    }

    /// The type of a kind; the core group is empty.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<Type<'_>> {
        let key = if group.is_empty() {
            format!("{version}/{kind}")
        } else {
            format!("{group}/{version}/{kind}")
        };
        let index = *self.kinds.get(key.as_str())?;
        self.definitions.get(index as usize).map(|definition| Type {
            schema: self,
            definition,
        })
    }

    /// The definition of that full name.
    pub fn named(&self, name: &str) -> Option<Type<'_>> {
        self.definitions
            .iter()
            .find(|definition| definition.name == name)
            .map(|definition| Type {
                schema: self,
                definition,
            })
    }

    /// The definition behind a struct node.
    pub fn definition(&self, index: u32) -> Option<&Definition> {
        self.definitions.get(index as usize)
    }

    /// All definitions.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }
}

/// A struct type within its schema.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    schema: &'a Schema,
    definition: &'a Definition,
}

impl<'a> Type<'a> {
    /// Its definition.
    pub fn definition(self) -> &'a Definition {
        self.definition
    }

    /// The schema that it belongs to.
    pub fn schema(self) -> &'a Schema {
        self.schema
    }
}
