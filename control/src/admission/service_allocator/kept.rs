//! What an update leaves out and what a change of type makes void.
//!
//! A client that applies its manifest again does not repeat what the server has given it; upstream's
//! `patchAllocatedValues` and `dropTypeDependentFields` decide what that means.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::taken::{has_address, has_health_check_port, number};
use crate::admission::fields::{items, map, text};

/// Carries the given values of `old` over to `new`, and drops those that the new type has no use for.
pub fn carry_over(old: &Value, new: &mut Value) {
    let have = (has_address(old), has_address(new));
    if have == (true, true) {
        keep_addresses(old, new);
    }
    normalize(old, new);
    if have == (true, false) {
        drop_addresses(old, new);
    }
    match (may_have_node_ports(old), may_have_node_ports(new)) {
        (true, true) => keep_node_ports(old, new),
        (true, false) => drop_node_ports(old, new),
        _ => {}
    }
    let port = &old["spec"]["healthCheckNodePort"];
    match (has_health_check_port(old), has_health_check_port(new)) {
        (true, true) if new["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0) == 0 => {
            set(new, "healthCheckNodePort", port);
        }
        (true, false) if new["spec"]["healthCheckNodePort"] == *port => remove(new, &["healthCheckNodePort"]),
        _ => {}
    }
}

/// Whether a Service of this type has node ports, were it only those that somebody asks for.
fn may_have_node_ports(service: &Value) -> bool {
    matches!(text(service, "/spec/type"), "NodePort" | "LoadBalancer")
}

fn set(service: &mut Value, field: &str, value: &Value) {
    if let (Some(spec), false) = (map(service, "spec"), value.is_null()) {
        spec.insert(field.to_owned(), value.clone());
    }
}

fn remove(service: &mut Value, fields: &[&str]) {
    if let Some(spec) = map(service, "spec") {
        for field in fields {
            spec.remove(*field);
        }
    }
}

fn keep_addresses(old: &Value, new: &mut Value) {
    if text(new, "/spec/clusterIP").is_empty() {
        set(new, "clusterIP", &old["spec"]["clusterIP"]);
    }
    if items(new, "/spec/clusterIPs").is_empty() {
        set(new, "clusterIPs", &old["spec"]["clusterIPs"]);
    }
}

/// Brings `clusterIPs` after `clusterIP`, for clients that know only the latter; `old` is null for a new Service. What
/// a client has set of both stays, for validation to compare (upstream's `normalizeClusterIPs`).
pub fn normalize(old: &Value, new: &mut Value) {
    let (was, is) = (
        text(old, "/spec/clusterIP"),
        text(new, "/spec/clusterIP").to_owned(),
    );
    let (were, are) = (items(old, "/spec/clusterIPs"), items(new, "/spec/clusterIPs"));
    let same = were == are;
    if old.is_null() {
        if !is.is_empty() && are.is_empty() {
            set(new, "clusterIPs", &json!([is]));
        }
    } else if was == is {
        if are.is_empty() {
            set(new, "clusterIPs", &old["spec"]["clusterIPs"]);
        }
    } else if is.is_empty() && same {
        remove(new, &["clusterIPs"]);
    } else if same {
        set(new, "clusterIPs", &json!([is]));
    }
}

/// To ExternalName: what the client did not touch goes; what it set anew stays for validation to refuse.
fn drop_addresses(old: &Value, new: &mut Value) {
    let same = |field: &str| new["spec"][field] == old["spec"][field];
    let mut gone = Vec::new();
    if same("clusterIP") && same("clusterIPs") {
        gone.extend(["clusterIP", "clusterIPs"]);
    }
    gone.extend(
        ["ipFamilies", "ipFamilyPolicy"]
            .into_iter()
            .filter(|field| same(field)),
    );
    remove(new, &gone);
}

fn ports(service: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = map(service, "spec")
        .and_then(|spec| spec.get_mut("ports"))
        .and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Ports keep their node ports by their names, whatever else of them has changed. What the client has named of the old
/// ones itself is gone to another port.
fn keep_node_ports(old: &Value, new: &mut Value) {
    let given = |service: &Value| -> HashSet<u16> {
        let ports = items(service, "/spec/ports").iter();
        ports.filter_map(|port| number(&port["nodePort"])).collect()
    };
    let named = given(new);
    let by_name: HashMap<&str, u16> = items(old, "/spec/ports")
        .iter()
        .filter_map(|port| Some((text(port, "/name"), number(&port["nodePort"])?)))
        .collect();
    for port in ports(new) {
        // What is not zero is asked for, even if it is no port.
        if port
            .get("nodePort")
            .and_then(Value::as_i64)
            .is_some_and(|asked| asked != 0)
        {
            continue;
        }
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(given) = by_name.get(name).filter(|given| !named.contains(given)) {
            port.insert("nodePort".to_owned(), (*given).into());
        }
    }
}

/// A type without node ports does without those that it had. One that it did not have is a mistake, and then all of them
/// are.
fn drop_node_ports(old: &Value, new: &mut Value) {
    let given = |service: &Value| -> HashSet<i64> {
        let ports = items(service, "/spec/ports").iter();
        let given = ports.filter_map(|port| port["nodePort"].as_i64());
        given.filter(|given| *given != 0).collect()
    };
    if given(old).is_superset(&given(new)) {
        for port in ports(new) {
            port.remove("nodePort");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ports_keep_their_node_ports() {
        let service = |ports: Vec<Value>| json!({"spec": {"type": "NodePort", "ports": ports}});
        let old = service(
            (0..2768)
                .map(|n| json!({"name": format!("n{n}"), "port": n + 1, "nodePort": 30_000 + n}))
                .collect(),
        );
        // None has its old name, but for the last two.
        let mut ports: Vec<Value> = (0..60_000)
            .map(|n| json!({"name": format!("other{n}"), "port": n + 1, "protocol": "UDP"}))
            .collect();
        ports.push(json!({"name": "x", "port": 5}));
        ports.push(json!({"name": "n9", "port": 60_000, "protocol": "TCP"}));
        ports.push(json!({"name": "n4", "port": 60_001}));
        let mut new = service(ports);
        carry_over(&old, &mut new);
        let ports = items(&new, "/spec/ports");
        let given: Vec<&Value> = ports.iter().filter_map(|port| port.get("nodePort")).collect();
        assert_eq!(given, [&json!(30_009), &json!(30_004)]);
        assert!(ports[60_000].get("nodePort").is_none());
    }

    #[test]
    fn node_ports_come_and_go_as_upstream_has_them() {
        let service = |kind: &str, ports: Value| json!({"spec": {"type": kind, "ports": ports}});
        let old = json!([{"name": "a", "port": 1, "nodePort": 30_001}, {"name": "b", "port": 2, "nodePort": 30_002}]);
        let balanced = |ports: &Value| {
            let mut service = service("LoadBalancer", ports.clone());
            service["spec"]["allocateLoadBalancerNodePorts"] = false.into();
            service
        };
        let numbers = |service: &Value| -> Vec<i64> {
            let ports = items(service, "/spec/ports").iter();
            ports.map(|port| port["nodePort"].as_i64().unwrap_or(0)).collect()
        };
        let swapped = json!([{"name": "a", "port": 2}, {"name": "b", "port": 1}]);
        let taken = json!([{"name": "a", "port": 1}, {"name": "c", "port": 3, "nodePort": 30_001}]);
        let another = json!([{"name": "a", "port": 1, "nodePort": 30_001}, {"name": "b", "port": 2, "nodePort": 30_003}]);
        for (was, is, expected) in [
            (
                service("NodePort", old.clone()),
                service("NodePort", swapped.clone()),
                [30_001, 30_002],
            ),
            (
                service("NodePort", old.clone()),
                service("NodePort", taken),
                [0, 30_001],
            ),
            // A balancer that has none given any more keeps what it has.
            (balanced(&old), balanced(&swapped), [30_001, 30_002]),
            (balanced(&old), service("ClusterIP", old.clone()), [0, 0]),
            (
                service("NodePort", old.clone()),
                service("ClusterIP", another),
                [30_001, 30_003],
            ),
        ] {
            let mut new = is.clone();
            carry_over(&was, &mut new);
            assert_eq!(numbers(&new), expected, "{was} {is}");
        }
    }
}
