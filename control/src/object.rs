//! An object as the API server holds it: serialized JSON plus a little parsed metadata.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// How long it is as protobuf, once that is known.
    pub protobuf: Length,
}

/// A length that was measured for bytes of a certain length. If these change, it is not known any more; only the digits
/// of a resourceVersion change without changing their length, and they are as long in protobuf.
#[derive(Debug, Default)]
pub struct Length(AtomicU64);

impl Length {
    /// The length that goes with bytes of this length, measured now if it is not known.
    pub fn of<E>(&self, bytes: usize, measure: impl FnOnce() -> Result<usize, E>) -> Result<usize, E> {
        let known = self.0.load(Ordering::Relaxed);
        if known >> 32 == bytes as u64 && known != 0 {
            return Ok((known & u64::from(u32::MAX)) as usize);
        }
        let measured = measure()?;
        // Objects are far below 4 GiB.
        self.0
            .store((bytes as u64) << 32 | measured as u64, Ordering::Relaxed);
        Ok(measured)
    }
}

impl Clone for Length {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
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
            protobuf: Length::default(),
        }
    }

    /// Decodes the object.
    pub fn value(&self) -> serde_json::Value {
        // The bytes were written by this server from a `Value`, so they parse.
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// A change of an object.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The object after the change, or the last state of a deleted one.
    pub object: Arc<Object>,
    /// It was deleted.
    pub deleted: bool,
}

/// Read access to the current objects, straight from memory. Implemented by the server's cache; used by
/// authorization and admission.
pub trait Reader: Send + Sync + std::fmt::Debug {
    /// One object.
    fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Arc<Object>>;
    /// All objects of a resource, in one namespace or in all.
    fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<Arc<Object>>;
    /// All objects of a resource in a namespace, and the revision at which they are these.
    fn snapshot(&self, resource: &GroupResource, namespace: &str) -> (Vec<Arc<Object>>, u64);
    /// What has happened to a resource after a revision, oldest first, and up to which revision that is. `None` if it is not
    /// known any more, or is so much that one had better look at all objects.
    fn since(&self, resource: &GroupResource, revision: u64) -> Option<(Vec<Changed>, u64)>;
    /// Number of objects of a resource in a namespace.
    fn count(&self, resource: &GroupResource, namespace: &str) -> usize;
    /// Grows whenever an object of the resource changes; lets callers keep derived tables.
    fn version(&self, resource: &GroupResource) -> u64;
}
