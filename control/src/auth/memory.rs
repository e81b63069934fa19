//! A [`Reader`] over a plain map, for unit tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::object::{GroupResource, Object, Reader};

type Key = (GroupResource, String, String);

/// Objects in a map; every change counts the resource's version up.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<Key, Arc<Object>>>,
    versions: Mutex<BTreeMap<GroupResource, u64>>,
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
        self.objects.lock().unwrap().insert(key, Arc::new(object));
    }

    /// Removes an object.
    pub fn remove(&self, resource: &GroupResource, namespace: &str, name: &str) {
        self.touch(resource);
        self.objects
            .lock()
            .unwrap()
            .remove(&(resource.clone(), namespace.to_owned(), name.to_owned()));
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

    fn version(&self, resource: &GroupResource) -> u64 {
        self.versions
            .lock()
            .unwrap()
            .get(resource)
            .copied()
            .unwrap_or_default()
    }
}
