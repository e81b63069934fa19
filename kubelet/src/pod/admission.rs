//! The node's own check of a pod before it runs anything of it.
//!
//! Source: `pkg/kubelet/lifecycle/predicate.go` and `pkg/scheduler/framework/plugins/helper` (reasons and messages).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::state::Failure;
use crate::spec::{containers, pod_request};

/// What the node has to give, in thousandths by resource name, and how many pods it takes.
#[derive(Debug, Clone, Default)]
pub struct Capacity {
    /// Allocatable amounts.
    pub allocatable: BTreeMap<String, i128>,
    /// Most pods.
    pub max_pods: usize,
    /// Labels of the node.
    pub labels: BTreeMap<String, String>,
}

/// Whether the pod fits beside `others` (pods that hold resources); if not, why.
pub fn admit(pod: &Pod, others: &[&Pod], node: &Capacity) -> Result<(), Failure> {
    let Some(spec) = pod.spec.as_ref() else {
        return Ok(());
    };
    if others.len() >= node.max_pods {
        return Err(out_of("pods", 1, others.len() as i128, node.max_pods as i128));
    }
    for (resource, allocatable) in &node.allocatable {
        let asked = pod_request(spec, resource);
        let used: i128 = others
            .iter()
            .filter_map(|p| p.spec.as_ref())
            .map(|s| pod_request(s, resource))
            .sum();
        if asked > 0 && asked + used > *allocatable {
            let unit = if resource == "cpu" { 1 } else { 1000 };
            return Err(out_of(resource, asked / unit, used / unit, allocatable / unit));
        }
    }
    let wanted = spec.node_selector.iter().flatten();
    if !wanted
        .clone()
        .all(|(key, value)| node.labels.get(key) == Some(value))
    {
        return Err(Failure {
            reason: "NodeAffinity".into(),
            message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node \
                      affinity/selector"
                .into(),
        });
    }
    let taken: Vec<HostPort> = others
        .iter()
        .filter_map(|p| p.spec.as_ref())
        .flat_map(host_ports)
        .collect();
    if host_ports(spec)
        .iter()
        .any(|port| taken.iter().any(|other| port.conflicts(other)))
    {
        return Err(Failure {
            reason: "NodePorts".into(),
            message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested \
                      pod ports"
                .into(),
        });
    }
    Ok(())
}

fn out_of(resource: &str, asked: i128, used: i128, capacity: i128) -> Failure {
    Failure {
        reason: format!("OutOf{resource}"),
        message: format!(
            "Pod was rejected: Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, \
             capacity: {capacity}"
        ),
    }
}

struct HostPort {
    ip: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    fn conflicts(&self, other: &Self) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port
            && self.protocol == other.protocol
            && (any(&self.ip) || any(&other.ip) || self.ip == other.ip)
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let mut found = Vec::new();
    for (_, container) in containers(spec) {
        for port in container.ports.iter().flatten() {
            // Host-network pods hold their container ports on the node.
            let held = port
                .host_port
                .or(spec.host_network.unwrap_or(false).then_some(port.container_port));
            if let Some(number) = held.filter(|number| *number > 0) {
                found.push(HostPort {
                    ip: port.host_ip.clone().unwrap_or_default(),
                    protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
                    port: number,
                });
            }
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn node() -> Capacity {
        Capacity {
            allocatable: [("cpu".to_owned(), 2000), ("memory".to_owned(), 1000 << 30)].into(),
            max_pods: 3,
            labels: [("disk".to_owned(), "ssd".to_owned())].into(),
        }
    }

    #[test]
    fn resources_count_other_pods() {
        let big = pod(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "1500m"}}}]}));
        assert!(admit(&big, &[], &node()).is_ok());
        let failure = admit(&big, &[&big], &node()).unwrap_err();
        assert_eq!(failure.reason, "OutOfcpu");
        assert!(
            failure
                .message
                .contains("requested: 1500, used: 1500, capacity: 2000"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn number_of_pods() {
        let small = pod(json!({"containers": [{"name": "a"}]}));
        assert_eq!(
            admit(&small, &[&small; 3], &node()).unwrap_err().reason,
            "OutOfpods"
        );
    }

    #[test]
    fn host_ports_conflict_by_address_and_protocol() {
        let port = |ip: &str, protocol: &str| {
            pod(json!({"containers": [{"name": "a", "ports": [
                {"containerPort": 80, "hostPort": 80, "hostIP": ip, "protocol": protocol}]}]}))
        };
        assert!(admit(&port("", "TCP"), &[&port("10.0.0.1", "TCP")], &node()).is_err());
        assert!(admit(&port("10.0.0.2", "TCP"), &[&port("10.0.0.1", "TCP")], &node()).is_ok());
        assert!(admit(&port("", "UDP"), &[&port("", "TCP")], &node()).is_ok());
    }

    #[test]
    fn node_selector() {
        let picky = pod(json!({"nodeSelector": {"disk": "hdd"}, "containers": [{"name": "a"}]}));
        assert_eq!(admit(&picky, &[], &node()).unwrap_err().reason, "NodeAffinity");
    }
}
