//! EndpointSlices: at most 100 endpoints each, one set of ports each, changed as little as possible.
//!
//! Source: `k8s.io/endpointslice/reconciler.go`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::backends::{Backend, Backends};
use crate::controllers::api::resources;
use crate::controllers::model::{EndpointPort, EndpointSlice, Service, controller_reference};

/// Endpoints per slice.
const MAX_ENDPOINTS: usize = 100;
/// Who makes these slices.
pub const MANAGED_BY: (&str, &str) = (
    "endpointslice.kubernetes.io/managed-by",
    "endpointslice-controller.k8s.io",
);
/// The service of a slice.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What to do.
#[derive(Debug, Default)]
pub struct Plan {
    /// Slices to create.
    pub create: Vec<Draft>,
    /// Slices to write anew.
    pub update: Vec<Draft>,
    /// Names of slices to delete.
    pub delete: Vec<String>,
}

/// A slice to write. Only its body has the ports for itself, and those of all slices need not be there at the same time.
#[derive(Debug)]
pub struct Draft {
    metadata: Value,
    family: String,
    endpoints: Vec<Value>,
    ports: Arc<Vec<EndpointPort>>,
}

impl Draft {
    /// What is sent.
    pub fn body(self) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": self.metadata,
            "addressType": self.family,
            "endpoints": self.endpoints,
            "ports": *self.ports,
        })
    }
}

/// An existing slice, the endpoints of it that stay, and whether that or anything else changes it.
type Kept<'a> = (&'a EndpointSlice, Vec<Value>, bool);

/// Compares what there is with what there should be. `zones` maps nodes to zones.
pub fn plan(
    service: &Service,
    backends: &Backends,
    existing: &[Arc<EndpointSlice>],
    zones: &HashMap<String, String>,
) -> Plan {
    let families = families(service);
    let mut plan = Plan::default();
    for slice in existing {
        if !families.contains(&slice.address_type) {
            plan.delete.push(slice.metadata.name.clone());
        }
    }
    for family in &families {
        let slices: Vec<_> = existing
            .iter()
            .filter(|slice| slice.address_type == *family)
            .collect();
        plan_family(service, family, backends, &slices, zones, &mut plan);
    }
    plan
}

fn plan_family(
    service: &Service,
    family: &str,
    backends: &Backends,
    existing: &[&Arc<EndpointSlice>],
    zones: &HashMap<String, String>,
    plan: &mut Plan,
) {
    // By ports, endpoints by pod UID.
    let mut wanted: BTreeMap<&Arc<Vec<EndpointPort>>, BTreeMap<String, Value>> = BTreeMap::new();
    for (ports, backends) in backends {
        let of_family = backends.iter().filter_map(|backend| {
            let endpoint = endpoint(service, backend, backend.address(family)?, zones);
            Some((backend.pod.metadata.uid.clone(), endpoint))
        });
        let of_family: BTreeMap<_, _> = of_family.collect();
        if !of_family.is_empty() {
            wanted.insert(ports, of_family);
        }
    }
    let labels = labels(service);
    let mut kept: BTreeMap<&Arc<Vec<EndpointPort>>, Vec<Kept<'_>>> = BTreeMap::new();
    // Slices whose ports nobody has any more.
    let mut dropped = Vec::new();
    for slice in existing {
        let ports = backends.get_key_value(&slice.ports).map(|(ports, _)| ports);
        let (Some(ports), Some(group)) = (ports, ports.and_then(|ports| wanted.get_mut(ports))) else {
            dropped.push(slice.metadata.name.clone());
            continue;
        };
        let mut changed = *slice.metadata.labels != labels;
        let mut endpoints = Vec::new();
        for endpoint in &slice.endpoints {
            let uid = endpoint["targetRef"]["uid"].as_str().unwrap_or_default();
            match group.remove(uid) {
                Some(current) => {
                    changed |= current != *endpoint;
                    endpoints.push(current);
                }
                None => changed = true,
            }
        }
        kept.entry(ports).or_default().push((slice, endpoints, changed));
    }
    let mut remaining = 0;
    for (ports, group) in wanted {
        let mut fresh: Vec<Value> = group.into_values().collect();
        let draft = |slice, endpoints| draft(service, family, &labels, slice, endpoints, ports);
        for (slice, mut endpoints, mut changed) in kept.remove(ports).unwrap_or_default() {
            let room = MAX_ENDPOINTS.saturating_sub(endpoints.len()).min(fresh.len());
            changed |= room > 0;
            endpoints.extend(fresh.drain(..room));
            if endpoints.is_empty() {
                plan.delete.push(slice.metadata.name.clone());
                continue;
            }
            remaining += 1;
            if changed {
                plan.update.push(draft(Some(slice), endpoints));
            }
        }
        while !fresh.is_empty() {
            remaining += 1;
            let some: Vec<_> = fresh.drain(..fresh.len().min(MAX_ENDPOINTS)).collect();
            plan.create.push(draft(None, some));
        }
    }
    if remaining == 0 {
        keep_placeholder(service, family, &labels, existing, dropped, plan);
    } else {
        plan.delete.extend(dropped);
    }
}

/// A service without endpoints has one empty slice, so that it can be told from one that nobody has looked at.
fn keep_placeholder(
    service: &Service,
    family: &str,
    labels: &BTreeMap<String, String>,
    existing: &[&Arc<EndpointSlice>],
    dropped: Vec<String>,
    plan: &mut Plan,
) {
    let is_placeholder = |slice: &&&Arc<EndpointSlice>| {
        slice.endpoints.is_empty() && slice.ports.is_empty() && *slice.metadata.labels == *labels
    };
    let placeholder = existing
        .iter()
        .find(is_placeholder)
        .map(|slice| slice.metadata.name.clone());
    let candidates: Vec<String> = dropped
        .into_iter()
        .chain(existing.iter().map(|slice| slice.metadata.name.clone()))
        .collect();
    let keep = placeholder.clone().or_else(|| candidates.first().cloned());
    for name in candidates {
        if Some(&name) != keep.as_ref() && !plan.delete.contains(&name) {
            plan.delete.push(name);
        }
    }
    plan.delete.retain(|name| Some(name) != keep.as_ref());
    if placeholder.is_some() {
        return;
    }
    let slice = existing
        .iter()
        .find(|slice| Some(&slice.metadata.name) == keep.as_ref());
    let of = slice.map(|slice| &***slice);
    let draft = draft(service, family, labels, of, Vec::new(), &Arc::default());
    if slice.is_some() {
        plan.update.push(draft);
    } else {
        plan.create.push(draft);
    }
}

fn families(service: &Service) -> Vec<String> {
    if service.spec.ip_families.is_empty() {
        let family = if service.spec.cluster_ip.contains(':') {
            "IPv6"
        } else {
            "IPv4"
        };
        return vec![family.to_owned()];
    }
    service.spec.ip_families.clone()
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::clone(&service.metadata.labels);
    labels.remove(HEADLESS);
    labels.insert(SERVICE_NAME.to_owned(), service.metadata.name.clone());
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if service.spec.cluster_ip == "None" {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

fn endpoint(service: &Service, backend: &Backend, address: &str, zones: &HashMap<String, String>) -> Value {
    let node = &backend.pod.spec.node_name;
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": {
            "ready": backend.is_ready(service),
            "serving": backend.serving,
            "terminating": backend.terminating,
        },
        "targetRef": backend.reference(),
    });
    if !node.is_empty() {
        endpoint["nodeName"] = node.clone().into();
    }
    if let Some(zone) = zones.get(node) {
        endpoint["zone"] = zone.clone().into();
    }
    if let Some(hostname) = backend.hostname(service) {
        endpoint["hostname"] = hostname.into();
    }
    endpoint
}

fn draft(
    service: &Service,
    family: &str,
    labels: &BTreeMap<String, String>,
    slice: Option<&EndpointSlice>,
    endpoints: Vec<Value>,
    ports: &Arc<Vec<EndpointPort>>,
) -> Draft {
    let mut metadata = json!({
        "namespace": service.metadata.namespace,
        "labels": labels,
        "ownerReferences": [controller_reference(&service.metadata, resources::services())],
    });
    match slice {
        Some(slice) => {
            metadata["name"] = slice.metadata.name.clone().into();
            metadata["uid"] = slice.metadata.uid.clone().into();
            metadata["resourceVersion"] = slice.metadata.resource_version.clone().into();
            if !slice.metadata.annotations.is_empty() {
                metadata["annotations"] = json!(slice.metadata.annotations);
            }
        }
        None => metadata["generateName"] = format!("{}-", service.metadata.name).into(),
    }
    Draft {
        metadata,
        family: family.to_owned(),
        endpoints,
        ports: ports.clone(),
    }
}
