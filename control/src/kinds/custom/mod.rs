//! Custom resources: the descriptors that a CustomResourceDefinition makes.
//!
//! They are [`Kind`]s like the built-in ones, with a [`Custom`] besides their strategy: its schema, and the versions
//! between which objects are rewritten. `strategy` carries the schema's rules out, `columns` prints, `priority` sorts
//! versions. What makes a definition a valid one is in `extension::definition`.

mod columns;
mod priority;
mod strategy;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keelson_api::jsonpath::Path;
use keelson_api::openapi::CustomSchema;
use keelson_api::schema::{Schema, Type, TypeError};
use keelson_api::structural::{Structural, TooLarge};
use serde_json::Value;

use super::describe::ALL;
use super::json::{items, text};
use super::{Kind, Subresource, Text};

pub use priority::compare as compare_versions;

/// Verbs while a definition is being deleted. Upstream does not list `patch` and `update`, but serves them all the same:
/// finalizers must be able to go.
const ENDING: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const CHANGE: &[&str] = &["get", "patch", "update"];

/// One version of a definition.
#[derive(Debug)]
pub struct Version {
    /// `GROUP/VERSION`.
    pub api_version: String,
    /// Whether clients may use it.
    pub served: bool,
    /// Whether objects are stored in it.
    storage: bool,
    schema: Structural,
    types: Schema,
    /// The schema as it was written, for OpenAPI documents.
    openapi: CustomSchema,
    /// Fields that can be selected by, without the leading dot, and where they are.
    selectable: Vec<(String, Path)>,
    /// What clients are told with every answer, if the version is deprecated.
    deprecation: Option<String>,
    /// Names this reading of the definition, so that objects tell by which one they were written.
    stamp: String,
}

/// What a custom kind has beyond a descriptor.
#[derive(Debug, Clone)]
pub struct Custom {
    versions: Arc<Vec<Version>>,
    at: usize,
}

/// An object cannot be made to fit.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Something has the wrong type.
    #[error("{0}")]
    Type(#[from] TypeError),
    /// Defaults would make it too large.
    #[error("{0}")]
    Size(#[from] TooLarge),
    /// It has too many lists and objects; the most that it may have.
    #[error("more than {0} lists and objects")]
    Structures(usize),
}

impl Custom {
    fn version(&self) -> &Version {
        // `at` was an index of the list when it was made, and the list never changes.
        &self.versions[self.at]
    }

    /// Takes away what the schema does not know, and fills in its defaults; tells of what was taken away.
    pub fn fit(&self, object: &mut Value) -> Result<Vec<String>, FitError> {
        let version = self.version();
        let pruned = version.schema.prune(object)?;
        version.schema.default(object)?;
        Ok(pruned.unknown)
    }

    /// The `apiVersion` of stored objects.
    pub fn storage_version(&self) -> &str {
        let storage = self.versions.iter().find(|version| version.storage);
        &storage.unwrap_or_else(|| self.version()).api_version
    }

    /// What marks objects that were written by this version's schema, as it is now.
    pub fn stamp(&self) -> &str {
        &self.version().stamp
    }

    /// The type that server-side apply goes by.
    pub fn object_type(&self) -> Option<Type<'_>> {
        self.version().types.first()
    }

    /// The type in another version that is served.
    pub fn object_type_in(&self, api_version: &str) -> Option<Type<'_>> {
        let mut versions = self.versions.iter();
        versions
            .find(|version| version.served && version.api_version == api_version)?
            .types
            .first()
    }

    /// What clients are told with every answer, if this version is deprecated.
    pub fn deprecation(&self) -> Option<&str> {
        self.version().deprecation.as_deref()
    }

    /// The schema as OpenAPI has it.
    pub fn openapi(&self) -> &CustomSchema {
        &self.version().openapi
    }

    /// Whether objects can be selected by this field.
    pub fn can_select(&self, field: &str) -> bool {
        self.version().selectable.iter().any(|(name, _)| name == field)
    }

    /// The selectable fields of an object of this version.
    pub fn selectable(&self, object: &Value) -> BTreeMap<String, String> {
        let fields = self.version().selectable.iter();
        fields
            .filter_map(|(name, path)| {
                let found = path.find(object);
                let shown = match found.first()? {
                    Value::String(text) => text.clone(),
                    Value::Null | Value::Array(_) | Value::Object(_) => return None,
                    plain => plain.to_string(),
                };
                Some((name.clone(), shown))
            })
            .collect()
    }
}

/// The kinds of a definition, one for each version, the preferred one first. Names are the accepted ones.
pub fn kinds(definition: &Value) -> Vec<Kind> {
    let group = text(definition, "/spec/group");
    let ending = definition.pointer("/metadata/deletionTimestamp").is_some();
    let names = |field: &str| text(definition, &format!("/status/acceptedNames/{field}")).to_owned();
    let list = |field: &str| -> Vec<Text> {
        items(definition, &format!("/status/acceptedNames/{field}"))
            .iter()
            .filter_map(|name| Some(Cow::Owned(name.as_str()?.to_owned())))
            .collect()
    };
    let mut written: Vec<&Value> = items(definition, "/spec/versions").iter().collect();
    written.sort_by(|a, b| priority::compare(text(a, "/name"), text(b, "/name")));
    let versions: Vec<Version> = (0..written.len())
        .map(|at| version(definition, group, &names("kind"), &written, at))
        .collect();
    let versions = Arc::new(versions);
    let each = written.into_iter().enumerate();
    each.map(|(at, written)| {
        let custom = Custom {
            versions: Arc::clone(&versions),
            at,
        };
        let name = text(written, "/name").to_owned();
        let strategy = strategy::Rules::new(custom.clone(), written);
        let mut subresources = Vec::new();
        if strategy.has_scale() {
            subresources.push(Subresource {
                name: Cow::Borrowed("scale"),
                kind: Cow::Borrowed("Scale"),
                group: Cow::Borrowed("autoscaling"),
                version: Cow::Borrowed("v1"),
                verbs: CHANGE,
            });
        }
        if strategy.has_status() {
            subresources.push(Subresource {
                name: Cow::Borrowed("status"),
                kind: Cow::Owned(names("kind")),
                group: Cow::Owned(group.to_owned()),
                version: Cow::Owned(name.clone()),
                verbs: CHANGE,
            });
        }
        Kind {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(name),
            kind: Cow::Owned(names("kind")),
            plural: Cow::Owned(names("plural")),
            singular: Cow::Owned(names("singular")),
            short_names: list("shortNames"),
            categories: list("categories"),
            namespaced: text(definition, "/spec/scope") == "Namespaced",
            verbs: if ending { ENDING } else { ALL },
            subresources,
            storage: None,
            columns: columns::described(written),
            strategy: Box::new(strategy),
            custom: Some(custom),
        }
    })
    .collect()
}

/// The version at this place of all versions, the preferred one first.
fn version(definition: &Value, group: &str, kind: &str, all: &[&Value], at: usize) -> Version {
    static STAMPS: AtomicU64 = AtomicU64::new(1);
    let any = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let keeps_all = definition.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true));
    let written = all[at];
    let openapi = written
        .pointer("/schema/openAPIV3Schema")
        .filter(|_| !keeps_all)
        .unwrap_or(&any);
    let schema = Structural::read(openapi);
    let name = text(written, "/name");
    let reversed: Vec<&str> = group.rsplit('.').collect();
    Version {
        api_version: format!("{group}/{name}"),
        served: written["served"] == true,
        storage: written["storage"] == true,
        types: schema.types(&format!("{}.{name}.{kind}", reversed.join("."))),
        schema,
        openapi: CustomSchema::new(openapi),
        selectable: items(written, "/selectableFields")
            .iter()
            .filter_map(|field| {
                let path = text(field, "/jsonPath");
                Some((path.trim_start_matches('.').to_owned(), Path::parse(path).ok()?))
            })
            .collect(),
        deprecation: deprecation(group, kind, &all[..at], written),
        stamp: STAMPS.fetch_add(1, Ordering::Relaxed).to_string(),
    }
}

/// The definition's own words, or upstream's (`defaultDeprecationWarning`), which name the newest of the `newer` versions.
fn deprecation(group: &str, kind: &str, newer: &[&Value], written: &Value) -> Option<String> {
    if written["deprecated"] != true {
        return None;
    }
    if let Some(own) = written["deprecationWarning"].as_str() {
        return Some(own.to_owned());
    }
    let mut told = format!("{group}/{} {kind} is deprecated", text(written, "/name"));
    let better = |version: &&&Value| version["served"] == true && version["deprecated"] != true;
    if let Some(better) = newer.iter().find(better) {
        let name = text(better, "/name");
        // Writing to a string cannot fail.
        let _ = write!(told, "; use {group}/{name} {kind}");
    }
    Some(told)
}

/// Whether a kind is served, rather than only there to read what is stored.
pub fn is_served(kind: &Kind) -> bool {
    kind.custom.as_ref().is_none_or(|custom| custom.version().served)
}

/// Whether a kind is the one in whose version objects are stored.
pub fn is_storage(kind: &Kind) -> bool {
    kind.custom
        .as_ref()
        .is_some_and(|custom| custom.version().storage)
}
