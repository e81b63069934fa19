//! Server-side apply: who manages which fields of an object, and how a partial object is merged into a whole one.
//!
//! Source: Kubernetes' documentation "Server-Side Apply" and the design of structured merge diff (KEP 555). Pure: values,
//! schemas and sets in, values and sets out.
//!
//! - `element`, `set`, `fields`: paths into an object, sets of them, and their JSON notation (`FieldsV1`).
//! - `place`: what the schema says of a position: leaf, list, map or struct, merged as a whole or item by item.
//! - `check`, `collect`, `compare`, `merge`, `remove`: walks along the schema, one question each.
//! - `entry`: `metadata.managedFields`, decoded and encoded.
//! - `update`, `applied`: the two operations, put together from the walks. `migrate` lets kubectl's client-side apply turn
//!   into the server's, `scale` carries managers between an object and its `scale` subresource.

mod applied;
mod check;
mod collect;
mod compare;
mod element;
mod entry;
mod fields;
mod merge;
mod migrate;
mod place;
mod remove;
mod scale;
mod set;
mod settle;
#[cfg(test)]
mod tests;
mod update;

use serde_json::Value;

use crate::schema::Type;

pub use applied::{Applied, ApplyError, Conflict, apply};
pub use entry::{DecodeError, Entry, Operation, decode, encode, is_reset, same_but_times};
pub use fields::FieldsError;
pub use scale::{from_scale, to_scale};
pub use set::Set;
pub use update::{Tracked, track};

/// The versions of a kind, between which managers' sets have to be compared.
pub trait Versions {
    /// The kind's type in this `apiVersion`; `None` if it is not served.
    fn kind(&self, version: &str) -> Option<Type<'_>>;
    /// Rewrites an object, `apiVersion` included.
    fn convert(&self, object: &Value, version: &str) -> Option<Value>;
}

/// Who changes an object, and how.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// `fieldManager`, or what stands for it.
    pub manager: &'a str,
    /// The `apiVersion` of the request.
    pub version: &'a str,
    /// The subresource, empty for the object itself.
    pub subresource: &'a str,
    /// Fields that this endpoint does not change, each with everything below.
    pub reset: &'a [&'a [&'a str]],
    /// The current time, as `metav1.Time` is written.
    pub now: &'a str,
}
