//! All Services and EndpointSlices that the API server has told of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Key, Service, Slice};

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    services: BTreeMap<Key, Service>,
    /// Cluster IPs, for reverse look-ups.
    by_ip: HashMap<IpAddr, Key>,
    /// Headless Services: their endpoints have names.
    headless: BTreeSet<Key>,
    /// The API has told everything once: what is not here does not exist.
    pub(crate) complete: bool,
    /// By Service, with names: most have one slice, few have many.
    slices: HashMap<Key, Vec<(Arc<str>, Slice)>>,
    /// Which Service a slice counted for last: its label may have changed.
    owners: HashMap<Key, Arc<str>>,
}

impl Cluster {
    /// One that the API has told everything about.
    #[cfg(test)]
    pub(crate) fn known() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// A Service by name.
    pub(crate) fn service(&self, key: &Key) -> Option<&Service> {
        self.services.get(key)
    }

    /// Whether a namespace has any Service.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        let first = Key::new(namespace, "");
        self.services
            .range(first..)
            .next()
            .is_some_and(|(k, _)| &*k.namespace == namespace)
    }

    /// The Service with this cluster IP.
    pub(crate) fn by_ip(&self, ip: IpAddr) -> Option<&Key> {
        self.by_ip.get(&ip)
    }

    /// Headless Services.
    pub(crate) fn headless(&self) -> impl Iterator<Item = &Key> {
        self.headless.iter()
    }

    /// The slices of a Service.
    pub(crate) fn slices(&self, service: &Key) -> impl Iterator<Item = &Slice> + Clone {
        self.slices
            .get(service)
            .into_iter()
            .flatten()
            .map(|(_, slice)| slice)
    }

    /// Notes a Service, or with `None` its end. Whether anything changed.
    pub(crate) fn set_service(&mut self, key: Key, service: Option<Service>) -> bool {
        if self.services.get(&key) == service.as_ref() {
            return false;
        }
        if let Some(old) = self.services.remove(&key) {
            for ip in &old.cluster_ips {
                if self.by_ip.get(ip) == Some(&key) {
                    self.by_ip.remove(ip);
                }
            }
            self.headless.remove(&key);
        }
        if let Some(service) = service {
            self.by_ip
                .extend(service.cluster_ips.iter().map(|ip| (*ip, key.clone())));
            if service.headless {
                self.headless.insert(key.clone());
            }
            self.services.insert(key, service);
        }
        true
    }

    /// Notes a slice, or with `None` its end. Returns the Services that it touches: at most two.
    pub(crate) fn set_slice(&mut self, key: Key, slice: Option<Slice>) -> Vec<Key> {
        let mut touched = Vec::new();
        let previous = self.owners.get(&key).cloned();
        let next = slice.as_ref().map(|s| s.service.clone());
        if let Some(previous) = previous.filter(|p| Some(p) != next.as_ref()) {
            let service = Key {
                namespace: key.namespace.clone(),
                name: previous,
            };
            if let Some(slices) = self.slices.get_mut(&service) {
                slices.retain(|(name, _)| *name != key.name);
                if slices.is_empty() {
                    self.slices.remove(&service);
                }
            }
            self.owners.remove(&key);
            touched.push(service);
        }
        if let Some(slice) = slice {
            let service = Key {
                namespace: key.namespace.clone(),
                name: slice.service.clone(),
            };
            // The Service's own spelling of its key is shared, where there is one.
            let service = self
                .services
                .get_key_value(&service)
                .map_or(service, |(k, _)| k.clone());
            let slices = self.slices.entry(service.clone()).or_default();
            match slices.iter_mut().find(|(name, _)| *name == key.name) {
                Some((_, known)) if *known == slice => return touched,
                Some((_, known)) => *known = slice,
                None => {
                    self.owners.insert(key.clone(), service.name.clone());
                    slices.reserve_exact(1);
                    slices.push((key.name, slice));
                }
            }
            touched.push(service);
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
