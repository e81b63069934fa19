//! What an update leaves out and what a change of type makes void.
//!
//! A client that applies its manifest again does not repeat what the server has given it; upstream's
//! `patchAllocatedValues` and `dropTypeDependentFields` decide what that means.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::taken::{Protocol, has_address, has_health_check_port, has_node_ports, number};
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
    match (has_node_ports(old), has_node_ports(new)) {
        (true, true) => keep_node_ports(old, new),
        (true, false) if text(new, "/spec/type") != "LoadBalancer" => drop_node_ports(old, new),
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
        ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]
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

fn keep_node_ports(old: &Value, new: &mut Value) {
    let protocol = |port: &Value| Protocol::of(port);
    let named: HashSet<(u16, Protocol)> = items(new, "/spec/ports")
        .iter()
        .filter_map(|port| Some((number(&port["nodePort"])?, protocol(port))))
        .collect();
    let old = items(old, "/spec/ports").iter().filter_map(|port| {
        let given = number(&port["nodePort"])?;
        (!named.contains(&(given, protocol(port)))).then_some((port, given))
    });
    // Numbers and names are each unique among the ports of a protocol.
    let (mut by_port, mut by_name) = (HashMap::new(), HashMap::new());
    for (port, given) in old {
        by_port
            .entry((port["port"].as_i64(), protocol(port)))
            .or_insert(given);
        by_name
            .entry((text(port, "/name"), protocol(port)))
            .or_insert(given);
    }
    let mut used = HashSet::new();
    for port in ports(new) {
        let found = {
            let field = |name: &str| port.get(name).unwrap_or(&Value::Null);
            // What is not zero is asked for, even if it is no port.
            if field("nodePort").as_i64().is_some_and(|asked| asked != 0) {
                continue;
            }
            let protocol = Protocol::named(field("protocol").as_str().unwrap_or_default());
            let free =
                |given: Option<&u16>| given.copied().filter(|given| !used.contains(&(*given, protocol)));
            let name = field("name").as_str().unwrap_or_default();
            free(by_port.get(&(field("port").as_i64(), protocol)))
                .or_else(|| free(by_name.get(&(name, protocol)).filter(|_| !name.is_empty())))
                .map(|given| (given, protocol))
        };
        if let Some((given, protocol)) = found {
            used.insert((given, protocol));
            port.insert("nodePort".to_owned(), given.into());
        }
    }
}

fn drop_node_ports(old: &Value, new: &mut Value) {
    let known: HashSet<u16> = items(old, "/spec/ports")
        .iter()
        .filter_map(|port| number(&port["nodePort"]))
        .collect();
    for port in ports(new) {
        if port
            .get("nodePort")
            .and_then(number)
            .is_some_and(|number| known.contains(&number))
        {
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
        // None is the same, but for the last two: one by its number, one by its name.
        let mut ports: Vec<Value> = (0..60_000)
            .map(|n| json!({"name": format!("other{n}"), "port": n + 1, "protocol": "UDP"}))
            .collect();
        ports.push(json!({"name": "x", "port": 5}));
        ports.push(json!({"name": "n9", "port": 60_000, "protocol": "TCP"}));
        // What one has, no other gets.
        ports.push(json!({"name": "n4", "port": 60_001}));
        let mut new = service(ports);
        carry_over(&old, &mut new);
        let ports = items(&new, "/spec/ports");
        let given: Vec<&Value> = ports.iter().filter_map(|port| port.get("nodePort")).collect();
        assert_eq!(given, [&json!(30_004), &json!(30_009)]);
        assert!(ports[60_002].get("nodePort").is_none());
    }
}
