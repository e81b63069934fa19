//! Endpoints objects: all backends of a service in one object.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/endpoint`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::backends::{Backend, Backends};
use crate::controllers::model::{EndpointPort, Endpoints, Service};

/// Addresses per object; more are cut off and the object says so.
const MAX_ADDRESSES: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Whether this controller has made it.
pub fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints
        .metadata
        .labels
        .get(MANAGED_BY.0)
        .is_some_and(|manager| manager == MANAGED_BY.1)
}

/// The object as it should be, or `None` if it is so already.
pub fn desired(service: &Service, backends: &Backends, existing: Option<&Endpoints>) -> Option<Value> {
    let (subsets, cut) = subsets(service, backends);
    let mut labels = BTreeMap::clone(&service.metadata.labels);
    labels.remove(HEADLESS);
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if service.spec.cluster_ip == "None" {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    let mut annotations = existing
        .map(|have| BTreeMap::clone(&have.metadata.annotations))
        .unwrap_or_default();
    annotations.remove(OVER_CAPACITY);
    if cut {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    }
    if let Some(have) = existing
        && have.subsets == subsets
        && *have.metadata.labels == labels
        && *have.metadata.annotations == annotations
    {
        return None;
    }
    let mut metadata = json!({
        "name": service.metadata.name,
        "namespace": service.metadata.namespace,
        "labels": labels,
    });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    if let Some(have) = existing {
        metadata["uid"] = have.metadata.uid.clone().into();
        metadata["resourceVersion"] = have.metadata.resource_version.clone().into();
    }
    Some(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}))
}

/// Addresses grouped by ports, and whether there were too many.
fn subsets(service: &Service, backends: &Backends) -> (Vec<Value>, bool) {
    let family = match service.spec.ip_families.first() {
        Some(family) => family.as_str(),
        None if service.spec.cluster_ip.contains(':') => "IPv6",
        None => "IPv4",
    };
    let groups: Vec<_> = backends.iter().collect();
    let mut usable: Vec<(&str, usize, &Backend)> = groups
        .iter()
        .enumerate()
        // A service with ports has nothing to offer on a pod without any of them.
        .filter(|(_, (ports, _))| !ports.is_empty() || service.spec.ports.is_empty())
        .flat_map(|(group, (_, backends))| backends.iter().map(move |backend| (group, backend)))
        // Pods that are going away are listed only where readiness does not matter.
        .filter(|(_, backend)| !backend.terminating || service.spec.publish_not_ready_addresses)
        .filter_map(|(group, backend)| Some((backend.address(family)?, group, backend)))
        .collect();
    usable.sort_by(|a, b| (a.0, &a.2.pod.metadata.uid).cmp(&(b.0, &b.2.pod.metadata.uid)));
    let cut = usable.len() > MAX_ADDRESSES;
    // Ready ones are the last to be cut off.
    usable.sort_by_key(|(.., backend)| !backend.is_ready(service));
    usable.truncate(MAX_ADDRESSES);
    let mut addresses: BTreeMap<usize, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for (ip, group, backend) in usable {
        let mut address = json!({"ip": ip, "targetRef": backend.reference()});
        if !backend.pod.spec.node_name.is_empty() {
            address["nodeName"] = backend.pod.spec.node_name.clone().into();
        }
        if let Some(hostname) = backend.hostname(service) {
            address["hostname"] = hostname.into();
        }
        let group = addresses.entry(group).or_default();
        if backend.is_ready(service) {
            group.0.push(address);
        } else {
            group.1.push(address);
        }
    }
    let subset = |(group, (ready, waiting)): (usize, (Vec<Value>, Vec<Value>))| {
        let mut subset = json!({});
        for (field, list) in [
            ("addresses", Value::from(ready)),
            ("notReadyAddresses", Value::from(waiting)),
            ("ports", ports(groups[group].0)),
        ] {
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                subset[field] = list;
            }
        }
        subset
    };
    (addresses.into_iter().map(subset).collect(), cut)
}

/// Like the slice's ports, but an empty name is left out.
fn ports(ports: &[EndpointPort]) -> Value {
    let port = |port: &EndpointPort| {
        let name = port.name.clone().filter(|name| !name.is_empty());
        json!(EndpointPort { name, ..port.clone() })
    };
    ports.iter().map(port).collect()
}
