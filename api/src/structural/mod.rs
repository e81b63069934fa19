//! Structural schemas: what a CustomResourceDefinition says of its objects (`spec.versions[*].schema.openAPIV3Schema`).
//!
//! Source: "Extend the Kubernetes API with CustomResourceDefinitions" in Kubernetes' documentation, KEP 1111, and the
//! behaviour of `k8s.io/apiextensions-apiserver`. Pure: JSON in, JSON and field errors out.
//!
//! - `rules`: which schemas a definition may have; `read` makes a [`Structural`] of one that passed.
//! - `prune`, `defaults`, `validate`: what is done to objects, in this order.
//! - `pattern`: Go's regular expressions; `types`: the schema as server-side apply sees it.
//!
//! Rules in CEL (`x-kubernetes-validations`) are kept by who stores the definition; nothing here runs them.

mod defaults;
mod path;
mod pattern;
mod prune;
mod read;
mod rules;
#[cfg(test)]
mod tests;
mod types;
mod validate;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

pub use defaults::TooLarge;
pub use prune::Pruned;
pub use rules::{ATOMIC_ITEMS, check};

use pattern::Pattern;

/// The type that a schema names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// A structural schema, or a part of one.
#[derive(Debug, Default)]
pub struct Structural {
    kind: Option<Kind>,
    nullable: bool,
    int_or_string: bool,
    preserve: bool,
    embedded: bool,
    default: Option<Value>,
    properties: BTreeMap<String, Structural>,
    /// The properties that have a default.
    defaulted: Vec<String>,
    additional: Additional,
    items: Option<Box<Structural>>,
    list: List,
    atomic: bool,
    checks: Checks,
}

/// `additionalProperties`.
#[derive(Debug, Default)]
enum Additional {
    /// Not said: what is not a property is unknown.
    #[default]
    None,
    /// `true`.
    Any,
    /// A schema.
    Schema(Box<Structural>),
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Default)]
enum List {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// What values have to fulfil beyond their type.
#[derive(Debug, Default)]
struct Checks {
    required: Vec<String>,
    allowed: Vec<Value>,
    /// The texts among them.
    allowed_texts: HashSet<String>,
    pattern: Option<Arc<Pattern>>,
    format: String,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    multiple_of: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    all_of: Vec<Structural>,
    any_of: Vec<Structural>,
    one_of: Vec<Structural>,
    not: Option<Box<Structural>>,
}

/// A limit of numbers.
#[derive(Debug, Clone, Copy)]
struct Bound {
    at: f64,
    exclusive: bool,
}

impl Additional {
    /// The schema of what is not named.
    fn schema(&self) -> Option<&Structural> {
        match self {
            Self::Schema(schema) => Some(schema),
            Self::None | Self::Any => None,
        }
    }
}

impl Structural {
    /// The schema of a property, or of what stands for properties that are not named.
    fn property(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or_else(|| self.additional.schema())
    }

    /// Whether null is no value here.
    fn forbids_null(&self) -> bool {
        !(self.nullable || (self.kind.is_none() && self.preserve))
    }
}

/// `spec` and `spec.replicas`.
fn child(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
