//! All Services and EndpointSlices that the API server has told of.

use std::collections::{BTreeMap, HashMap};

use super::{Key, Service, Slice};

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    services: HashMap<Key, Service>,
    /// By Service, then by slice name.
    slices: HashMap<Key, BTreeMap<Box<str>, Slice>>,
    /// Which Service a slice counted for last: its label may have changed.
    owners: HashMap<Key, Box<str>>,
}

impl Cluster {
    /// A Service by name.
    pub(crate) fn service(&self, key: &Key) -> Option<&Service> {
        self.services.get(key)
    }

    /// Whether a namespace has any Service.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.services.keys().any(|k| &*k.namespace == namespace)
    }

    /// All Services.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&Key, &Service)> {
        self.services.iter()
    }

    /// The slices of a Service.
    pub(crate) fn slices(&self, service: &Key) -> impl Iterator<Item = &Slice> + Clone {
        self.slices.get(service).into_iter().flat_map(BTreeMap::values)
    }

    /// Notes a Service, or with `None` its end. Whether anything changed.
    pub(crate) fn set_service(&mut self, key: Key, service: Option<Service>) -> bool {
        match service {
            Some(service) if self.services.get(&key) == Some(&service) => false,
            Some(service) => {
                self.services.insert(key, service);
                true
            }
            None => self.services.remove(&key).is_some(),
        }
    }

    /// Notes a slice, or with `None` its end. Returns the Services that it touches: at most two.
    pub(crate) fn set_slice(&mut self, key: Key, slice: Option<Slice>) -> Vec<Key> {
        let mut touched = Vec::new();
        let previous = self.owners.get(&key).cloned();
        let next = slice.as_ref().map(|s| s.service.clone());
        if let Some(previous) = previous.filter(|p| Some(p) != next.as_ref()) {
            let service = Key { namespace: key.namespace.clone(), name: previous };
            if let Some(slices) = self.slices.get_mut(&service) {
                slices.remove(&key.name);
                if slices.is_empty() {
                    self.slices.remove(&service);
                }
            }
            self.owners.remove(&key);
            touched.push(service);
        }
        if let Some(slice) = slice {
            let service = Key { namespace: key.namespace.clone(), name: slice.service.clone() };
            let slices = self.slices.entry(service.clone()).or_default();
            if slices.get(&key.name) != Some(&slice) {
                self.owners.insert(key.clone(), slice.service.clone());
                slices.insert(key.name, slice);
                touched.push(service);
            }
        }
        touched
    }

    /// Names of all Services, for replacing them after a relist.
    pub(crate) fn service_keys(&self) -> Vec<Key> {
        self.services.keys().cloned().collect()
    }

    /// Names of all slices, for replacing them after a relist.
    pub(crate) fn slice_keys(&self) -> Vec<Key> {
        self.owners.keys().cloned().collect()
    }
}
