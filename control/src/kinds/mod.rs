//! The table of kinds: one descriptor each, and the strategy with what is special about it.
//!
//! Here: what a kind is. `table` lists them all; `core`, `apps` and so on (by API group) hold their strategies, which
//! build on `podspec` (pod templates), `metadata` (what all objects share), `cells` (Table cells), `json` (field
//! access) and `update` (what an endpoint may change). Nothing here does I/O.

mod apps;
mod autoscaling;
mod batch;
mod cells;
mod conditions;
mod core;
pub mod custom;
mod describe;
mod extension;
mod gates;
mod go;

mod json;
mod metadata;
mod networking;
mod object_names;
pub mod openapi;
mod plain;
mod podspec;
mod ratchet;
mod rbac;
mod resource_names;
mod reviews;
pub mod scale;
mod single;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod update;
pub mod warnings;
mod zeros;

use std::borrow::Cow;
use std::collections::BTreeMap;

use keelson_api::schema::{Schema, Type};
use keelson_api::status::FieldError;
use serde_json::Value;

pub(crate) use self::core::{changed_addresses, related_addresses};
pub(crate) use self::extension::definition::approval;

/// Text that is static for built-in kinds and owned for custom ones.
pub type Text = Cow<'static, str>;

/// A served kind in one version.
#[derive(Debug)]
pub struct Kind {
    /// API group; empty for core.
    pub group: Text,
    /// Version, e.g. `v1`.
    pub version: Text,
    /// Kind, e.g. `Deployment`.
    pub kind: Text,
    /// Plural resource name.
    pub plural: Text,
    /// Singular name.
    pub singular: Text,
    /// Short names.
    pub short_names: Vec<Text>,
    /// Categories (`all`).
    pub categories: Vec<Text>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Verbs of the main resource as discovery lists them: create, delete, deletecollection, get, list, patch,
    /// update, watch. Virtual kinds (reviews) have `create` only and are not stored.
    pub verbs: &'static [&'static str],
    /// Subresources, e.g. `status`, `scale`, `log`.
    pub subresources: Vec<Subresource>,
    /// Where its objects are stored, if another kind shares them (`events.k8s.io` events in core events).
    pub storage: Option<(Text, Text)>,
    /// Table columns.
    pub columns: Vec<Column>,
    /// Its rules.
    pub strategy: Box<dyn Strategy>,
    /// What it has besides if it is a custom kind.
    pub custom: Option<custom::Custom>,
}

/// A subresource as discovery lists it.
#[derive(Debug, Clone)]
pub struct Subresource {
    /// Name after the slash.
    pub name: Text,
    /// Kind of its body, e.g. `Scale`, with group and version where they differ from the parent's.
    pub kind: Text,
    /// Group of the body.
    pub group: Text,
    /// Version of the body.
    pub version: Text,
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// A column of the server-side Table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Title, e.g. `Ready`.
    pub name: Text,
    /// OpenAPI type: string, integer, boolean, date.
    pub kind: Text,
    /// OpenAPI format, `name` for the name column.
    pub format: Text,
    /// Help text.
    pub description: Text,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
}

/// What is special about a kind. All methods have a default that suits a plain kind.
pub trait Strategy: Send + Sync + std::fmt::Debug {
    /// Fills upstream's defaults, on requests and on what is read from storage.
    fn default(&self, object: &mut Value) {
        let _ = object;
    }
    /// Why upstream's decoder does not take an object whose fields have their types.
    fn undecodable(&self, object: &Value) -> Option<String> {
        let _ = object;
        None
    }
    /// Before a create: resets what clients may not set (status), sets `metadata.generation` where the kind has one.
    fn prepare_create(&self, object: &mut Value) {
        let _ = object;
    }
    /// Before an update of the main resource (`None`) or of a subresource: restores what this endpoint may not
    /// change, bumps the generation when the desired state changed.
    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        let _ = (subresource, old, new);
    }
    /// Errors of a new object, with upstream's paths, reasons and words.
    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let _ = object;
        Vec::new()
    }
    /// Errors of a change.
    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let _ = (subresource, old, new);
        Vec::new()
    }
    /// Selectable fields beyond `metadata.name` and `metadata.namespace`.
    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        let _ = object;
        BTreeMap::new()
    }
    /// What selectors call the selectable fields.
    fn selectable_field_names(&self) -> &'static [&'static str] {
        &[]
    }
    /// What a selectable field is called where objects are stored, for kinds that share their storage.
    fn selectable_alias<'a>(&self, field: &'a str) -> &'a str {
        field
    }
    /// For kinds with [`Kind::storage`] of another version: rewrites an object of this version into its stored form
    /// (apiVersion included).
    fn to_storage(&self, object: &mut Value) {
        let _ = object;
    }
    /// The way back: rewrites a stored object into this version.
    #[allow(
        clippy::wrong_self_convention,
        reason = "the pair of to_storage; self is the version, not the result"
    )]
    fn from_storage(&self, object: &mut Value) {
        let _ = object;
    }
    /// Cells of the Table row, one per column. `now` is Unix seconds, for ages.
    fn row(&self, object: &Value, now: i64) -> Vec<Value>;
    /// Conditions of the Table row (`metav1.TableRowCondition`), if it has any.
    fn row_conditions(&self, object: &Value) -> Option<Value> {
        let _ = object;
        None
    }
    /// Seconds that the first delete of an object waits, of which it `asked` for some (upstream's `CheckGracefulDelete`);
    /// `None`: objects of the kind are deleted at once.
    fn grace(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let _ = (object, asked);
        None
    }
    /// Reads the `Scale` of the object: replicas, observed replicas, selector string.
    fn scale(&self, object: &Value) -> Option<(i64, i64, String)> {
        let _ = object;
        None
    }
    /// Where the replicas of the `Scale` are in the object.
    fn replicas_path(&self) -> Vec<&str> {
        vec!["spec", "replicas"]
    }
    /// Warnings for who writes the object, besides those of [`warnings`].
    fn warnings(&self, object: &Value) -> Vec<String> {
        let _ = object;
        Vec::new()
    }
}

pub use gates::{drop_disabled, drop_from_pod_spec};
pub use metadata::{finalizer_warnings, validate_create};
pub use ratchet::validate_update;
pub use table::{builtin, find};
pub use zeros::{default, drop_zeros};

pub use self::go::is_printable;

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The type of its objects, if it is known.
    pub fn object_type(&self) -> Option<Type<'_>> {
        match &self.custom {
            Some(custom) => custom.object_type(),
            None => Schema::builtin().kind(&self.group, &self.version, &self.kind),
        }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources
            .iter()
            .find(|subresource| subresource.name == name)
    }
}
