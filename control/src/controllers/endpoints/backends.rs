//! Which pods stand behind a service, with which ports and in which state.
//!
//! Source: `k8s.io/endpointslice`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::controllers::model::{Pod, Selector, Service, ServicePort};

/// One pod behind a service.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its ports, as `EndpointPort` objects: they differ between pods where the service names a port by name.
    pub ports: Vec<Value>,
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

/// The backends of a service among the pods of its namespace: all that have an address and have not ended.
pub fn backends(service: &Service, selector: &BTreeMap<String, String>, pods: &[Arc<Pod>]) -> Vec<Backend> {
    let selector = Selector::equality(selector);
    pods.iter()
        .filter(|pod| selector.matches(&pod.metadata.labels))
        .filter(|pod| !pod.has_ended() && (!pod.status.pod_ip.is_empty() || !pod.status.pod_ips.is_empty()))
        .map(|pod| Backend {
            pod: pod.clone(),
            ports: service
                .spec
                .ports
                .iter()
                .filter_map(|port| endpoint_port(port, pod))
                .collect(),
            serving: pod.is_ready(),
            terminating: pod.metadata.deleted.is_some(),
        })
        .collect()
}

fn endpoint_port(port: &ServicePort, pod: &Pod) -> Option<Value> {
    let protocol = if port.protocol.is_empty() {
        "TCP"
    } else {
        &port.protocol
    };
    let number = target_port(port, protocol, pod)?;
    let mut out = json!({"name": port.name, "protocol": protocol, "port": number});
    if let Some(application) = &port.app_protocol {
        out["appProtocol"] = application.clone().into();
    }
    Some(out)
}

/// The number behind `targetPort`; `None` if the pod has no port of that name and protocol.
fn target_port(port: &ServicePort, protocol: &str, pod: &Pod) -> Option<i64> {
    match &port.target_port {
        Value::String(name) => pod
            .serving_containers()
            .flat_map(|container| &container.ports)
            .find(|have| {
                have.name == *name
                    && (have.protocol == protocol || have.protocol.is_empty() && protocol == "TCP")
            })
            .map(|have| i64::from(have.container_port)),
        Value::Number(number) if number.as_i64() != Some(0) => number.as_i64(),
        _ => Some(i64::from(port.port)),
    }
}
