//! An object as the API server holds it: serialized JSON plus a little parsed metadata.

use std::sync::Arc;

use bytes::Bytes;

use crate::pairs::Pairs;

/// A group and a resource, e.g. `apps` and `deployments`; the core group is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// API group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
}

impl GroupResource {
    /// From its parts.
    pub fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
        }
    }
}

/// A stored object. `bytes` is its complete JSON, `metadata.resourceVersion` included.
#[derive(Debug, Clone)]
pub struct Object {
    /// Namespace, empty for cluster-scoped ones.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Revision of its last change.
    pub resource_version: u64,
    /// Labels, for selectors.
    pub labels: Pairs,
    /// Selectable fields beyond name and namespace, as the kind's strategy names them.
    pub fields: Pairs,
    /// Serialized JSON.
    pub bytes: Bytes,
}

impl Object {
    /// The metadata of an object whose complete JSON is `bytes`; fields other than labels are for the caller.
    pub fn describe(value: &serde_json::Value, bytes: Bytes) -> Self {
        let metadata = &value["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let labels = metadata["labels"]
            .as_object()
            .map(|labels| {
                labels
                    .iter()
                    .filter_map(|(key, value)| Some((key, value.as_str()?)))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            resource_version: metadata["resourceVersion"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            labels,
            fields: Pairs::default(),
            bytes,
        }
    }

    /// Decodes the object.
    pub fn value(&self) -> serde_json::Value {
        // The bytes were written by this server from a `Value`, so they parse.
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// Read access to the current objects, straight from memory. Implemented by the server's cache; used by
/// authorization and admission.
pub trait Reader: Send + Sync + std::fmt::Debug {
    /// One object.
    fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Arc<Object>>;
    /// All objects of a resource, in one namespace or in all.
    fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<Arc<Object>>;
    /// Grows whenever an object of the resource changes; lets callers keep derived tables.
    fn version(&self, resource: &GroupResource) -> u64;
}
