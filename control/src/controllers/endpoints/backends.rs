//! Which pods stand behind a service, with which ports and in which state.
//!
//! Source: `k8s.io/endpointslice`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::model::{EndpointPort, Pod, Service, ServicePort, has_all};

/// One pod behind a service.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Ready condition of the pod.
    pub serving: bool,
    /// Being deleted.
    pub terminating: bool,
}

impl Backend {
    /// Gets traffic.
    pub fn is_ready(&self, service: &Service) -> bool {
        service.spec.publish_not_ready_addresses || (self.serving && !self.terminating)
    }

    /// Its address in a family, `IPv4` or `IPv6`.
    pub fn address(&self, family: &str) -> Option<&str> {
        let fits = |ip: &str| ip.contains(':') == (family == "IPv6");
        let listed = self
            .pod
            .status
            .pod_ips
            .iter()
            .map(|entry| entry.ip.as_str())
            .find(|ip| fits(ip));
        listed.or_else(|| Some(self.pod.status.pod_ip.as_str()).filter(|ip| !ip.is_empty() && fits(ip)))
    }

    /// Its name in the service's DNS domain, if it has one.
    pub fn hostname(&self, service: &Service) -> Option<&str> {
        let spec = &self.pod.spec;
        (!spec.hostname.is_empty() && spec.subdomain == service.metadata.name)
            .then_some(spec.hostname.as_str())
    }

    /// `targetRef`.
    pub fn reference(&self) -> Value {
        let meta = &self.pod.metadata;
        json!({"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid})
    }
}

/// Backends by their ports. These differ between pods only where the service names a port by name; a list of them, which may
/// be long, is there once and not for every pod.
pub type Backends = BTreeMap<Arc<Vec<EndpointPort>>, Vec<Backend>>;

/// The backends of a service among the pods of its namespace: all that have an address and have not ended.
pub fn backends(service: &Service, selector: &BTreeMap<String, String>, pods: &[Arc<Pod>]) -> Backends {
    let mut by_numbers: HashMap<Vec<Option<i64>>, Vec<Backend>> = HashMap::new();
    let behind = pods
        .iter()
        .filter(|pod| has_all(selector, &pod.metadata.labels))
        .filter(|pod| !pod.has_ended() && (!pod.status.pod_ip.is_empty() || !pod.status.pod_ips.is_empty()));
    for pod in behind {
        let backend = Backend {
            pod: pod.clone(),
            serving: pod.is_ready(),
            terminating: pod.metadata.deleted.is_some(),
        };
        by_numbers.entry(numbers(service, pod)).or_default().push(backend);
    }
    let mut found = Backends::new();
    for (numbers, backends) in by_numbers {
        let ports = Arc::new(endpoint_ports(service, &numbers));
        found.entry(ports).or_default().extend(backends);
    }
    found
}

/// What a pod has for the ports that the service names by name, in their order; `None` if it has no port of that name and
/// protocol.
fn numbers(service: &Service, pod: &Pod) -> Vec<Option<i64>> {
    let names = service
        .spec
        .ports
        .iter()
        .filter_map(|port| match &port.target_port {
            Value::String(name) => Some((name.as_str(), protocol(&port.protocol))),
            _ => None,
        });
    let mut names = names.peekable();
    if names.peek().is_none() {
        return Vec::new();
    }
    let mut have: HashMap<(&str, &str), i64> = HashMap::new();
    for port in pod.serving_containers().flat_map(|container| &container.ports) {
        have.entry((port.name.as_str(), protocol(&port.protocol)))
            .or_insert(i64::from(port.container_port));
    }
    names.map(|name| have.get(&name).copied()).collect()
}

/// The ports that a pod with these numbers has.
fn endpoint_ports(service: &Service, numbers: &[Option<i64>]) -> Vec<EndpointPort> {
    let mut numbers = numbers.iter().copied();
    let port = |port: &ServicePort| {
        let number = match &port.target_port {
            Value::String(_) => numbers.next()??,
            Value::Number(number) if number.as_i64() != Some(0) => number.as_i64()?,
            _ => i64::from(port.port),
        };
        Some(EndpointPort {
            name: Some(port.name.clone()),
            protocol: protocol(&port.protocol).to_owned(),
            port: Some(number),
            app_protocol: port.app_protocol.clone(),
        })
    };
    service.spec.ports.iter().filter_map(port).collect()
}

fn protocol(text: &str) -> &str {
    if text.is_empty() { "TCP" } else { text }
}
