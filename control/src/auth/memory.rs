//! A [`Reader`] over a plain map, for unit tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::object::{Changed, GroupResource, Object, Reader};

type Key = (GroupResource, String, String);

/// Objects in a map; every change counts the resource's version up.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<Key, Arc<Object>>>,
    versions: Mutex<BTreeMap<GroupResource, u64>>,
    changes: Mutex<Vec<(GroupResource, u64, Changed)>>,
    /// Nothing is known of what happened up to this version.
    forgotten: AtomicU64,
    lists: AtomicUsize,
}

impl Memory {
    /// Puts an object; namespace, name, uid and labels are taken from its metadata.
    pub fn put(&self, resource: &GroupResource, value: &Value) {
        let version = self.touch(resource);
        let metadata = &value["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let object = Object {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            resource_version: version,
            labels: labels
                .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            fields: crate::pairs::Pairs::default(),
            bytes: value.to_string().into(),
            protobuf: crate::object::Length::default(),
        };
        let key = (resource.clone(), object.namespace.clone(), object.name.clone());
        let object = Arc::new(object);
        let old = self.objects.lock().unwrap().insert(key, Arc::clone(&object));
        // One in the place of another is another object.
        if let Some(old) = old.filter(|old| old.uid != object.uid) {
            self.note(resource, version, old, true);
        }
        self.note(resource, version, object, false);
    }

    fn note(&self, resource: &GroupResource, version: u64, object: Arc<Object>, deleted: bool) {
        let change = (resource.clone(), version, Changed { object, deleted });
        self.changes.lock().unwrap().push(change);
    }

    /// Forgets what has happened.
    pub fn forget(&self) {
        self.changes.lock().unwrap().clear();
        let versions = self.versions.lock().unwrap();
        let newest = versions.values().max().copied().unwrap_or_default();
        // Also for those who have seen the newest.
        self.forgotten.store(newest + 1, Ordering::Relaxed);
    }

    /// How often a namespace was gone over.
    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }

    /// Removes an object.
    pub fn remove(&self, resource: &GroupResource, namespace: &str, name: &str) {
        let version = self.touch(resource);
        let key = (resource.clone(), namespace.to_owned(), name.to_owned());
        let old = self.objects.lock().unwrap().remove(&key);
        if let Some(old) = old {
            self.note(resource, version, old, true);
        }
    }

    fn touch(&self, resource: &GroupResource) -> u64 {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.entry(resource.clone()).or_default();
        *version += 1;
        *version
    }
}

impl Reader for Memory {
    fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.objects
            .lock()
            .unwrap()
            .get(&(resource.clone(), namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = self.objects.lock().unwrap();
        let of = |key: &Key| key.0 == *resource && namespace.is_none_or(|namespace| key.1 == namespace);
        objects
            .iter()
            .filter(|(key, _)| of(key))
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn snapshot(&self, resource: &GroupResource, namespace: &str) -> (Vec<Arc<Object>>, u64) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        (self.list(resource, Some(namespace)), self.version(resource))
    }

    fn since(&self, resource: &GroupResource, revision: u64) -> Option<(Vec<Changed>, u64)> {
        if revision < self.forgotten.load(Ordering::Relaxed) {
            return None;
        }
        let changes = self.changes.lock().unwrap();
        let new = changes
            .iter()
            .filter(|(of, version, _)| of == resource && *version > revision)
            .map(|(.., change)| change.clone())
            .collect();
        Some((new, self.version(resource)))
    }

    fn count(&self, resource: &GroupResource, namespace: &str) -> usize {
        self.list(resource, Some(namespace)).len()
    }

    fn version(&self, resource: &GroupResource) -> u64 {
        self.versions
            .lock()
            .unwrap()
            .get(resource)
            .copied()
            .unwrap_or_default()
    }
}
