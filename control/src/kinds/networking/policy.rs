//! NetworkPolicies.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Value, json};

use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_unset, items, list, object_or_new, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells, go};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Pod-Selector",
        "string",
        0,
        "podSelector selects the pods to which this NetworkPolicy object applies.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        default,
        validate,
        generation: Some("spec"),
        ..Plain::new(|policy, now| {
            let selector = cells::label_selector(policy, "/spec/podSelector");
            vec![cells::name(policy), selector, cells::age(policy, now)]
        })
    };
    describe::kind(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        COLUMNS,
        strategy,
    )
    .short(&["netpol"])
    .done()
}

fn default(policy: &mut Value) {
    // In Go it is always there: a policy without one isolates all pods of its namespace.
    let spec = policy.as_object_mut().and_then(|map| object_or_new(map, "spec"));
    let Some(spec) = spec else { return };
    object_or_new(spec, "podSelector");
    for rules in ["ingress", "egress"] {
        for rule in list(spec, rules) {
            for port in list(rule, "ports") {
                set_default(port, "protocol", "TCP");
            }
        }
    }
    if is_unset(spec.get("policyTypes")) {
        let types = if is_unset(spec.get("egress")) {
            json!(["Ingress"])
        } else {
            json!(["Ingress", "Egress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn validate(policy: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(selector) = policy.pointer("/spec/podSelector") {
        label_selector(&mut errors, selector, "spec.podSelector");
    }
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in items(policy, &format!("/spec/{rules}")).iter().enumerate() {
            let path = format!("spec.{rules}[{index}]");
            for (at, port) in items(rule, "/ports").iter().enumerate() {
                check_port(&mut errors, port, &format!("{path}.ports[{at}]"));
            }
            for (at, peer) in items(rule, &format!("/{peers}")).iter().enumerate() {
                check_peer(&mut errors, peer, &format!("{path}.{peers}[{at}]"));
            }
        }
    }
    let types = items(policy, "/spec/policyTypes");
    if types.len() > 2 {
        let detail = "may not specify more than two policyTypes";
        let shown = go::list("networking.PolicyType", types);
        errors.push(FieldError::invalid_shown("spec.policyTypes", &shown, detail));
        return errors;
    }
    for (index, kind) in types.iter().filter_map(Value::as_str).enumerate() {
        if !matches!(kind, "Ingress" | "Egress") {
            let path = format!("spec.policyTypes[{index}]");
            errors.push(FieldError::not_supported(path, kind, &["Egress", "Ingress"]));
        }
    }
    errors
}

fn check_port(errors: &mut Vec<FieldError>, port: &Value, path: &str) {
    let protocol = port.get("protocol").and_then(Value::as_str);
    if let Some(protocol) = protocol.filter(|protocol| !matches!(*protocol, "TCP" | "UDP" | "SCTP")) {
        errors.push(FieldError::not_supported(
            format!("{path}.protocol"),
            protocol,
            &["SCTP", "TCP", "UDP"],
        ));
    }
    if let Some(number) = port.get("port") {
        crate::kinds::metadata::check_port_or_name(errors, Some(number), &format!("{path}.port"));
    }
    let Some(end) = int(port, "/endPort") else {
        return;
    };
    let path = format!("{path}.endPort");
    let first = int(port, "/port");
    let detail = match first {
        None if port["port"].is_string() => "may not be specified when `port` is non-numeric",
        None => "may not be specified when `port` is not specified",
        Some(first) if end < first => "must be greater than or equal to `port`",
        Some(_) => "",
    };
    if !detail.is_empty() {
        errors.push(FieldError::invalid(path.as_str(), end, detail));
    }
    if first.is_some() {
        errors.extend(FieldError::complaints(&path, end, names::port_number(end)));
    }
}

fn check_peer(errors: &mut Vec<FieldError>, peer: &Value, path: &str) {
    let has = |field: &str| peer.get(field).is_some_and(Value::is_object);
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = peer.get(field) {
            label_selector(errors, selector, &format!("{path}.{field}"));
        }
    }
    if has("ipBlock") {
        if has("podSelector") || has("namespaceSelector") {
            let detail = "may not specify both ipBlock and another peer";
            errors.push(FieldError::forbidden(path, detail));
        }
        let cidr = text(peer, "/ipBlock/cidr");
        if cidr.is_empty() {
            errors.push(FieldError::required(format!("{path}.ipBlock.cidr"), ""));
        } else {
            let complaints = names::cidr(cidr);
            // Parts of what is no network are not looked at.
            let parts = if complaints.is_empty() {
                items(peer, "/ipBlock/except")
            } else {
                &[]
            };
            let path = format!("{path}.ipBlock");
            errors.extend(FieldError::complaints(
                format_args!("{path}.cidr"),
                cidr,
                complaints,
            ));
            for (index, except) in parts.iter().enumerate() {
                let except = except.as_str().unwrap_or_default();
                let path = format!("{path}.except[{index}]");
                let complaints = names::cidr(except);
                for complaint in &complaints {
                    errors.push(FieldError::invalid(path.as_str(), except, complaint));
                }
                if complaints.is_empty() && !is_part(except, cidr) {
                    let detail = "must be a strict subset of `cidr`";
                    errors.push(FieldError::invalid(path, except, detail));
                }
            }
        }
    } else if !has("podSelector") && !has("namespaceSelector") {
        errors.push(FieldError::required(path, "must specify a peer"));
    }
}

/// Whether a network is a part of another one, but not all of it. Both are well-formed.
fn is_part(inner: &str, outer: &str) -> bool {
    let read = |text: &str| {
        let (address, bits) = text.split_once('/')?;
        let address: std::net::IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        // Both families as the first bits of 128.
        let number = match address {
            std::net::IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
            std::net::IpAddr::V6(v6) => u128::from(v6),
        };
        Some((address.is_ipv4(), number, bits))
    };
    let (Some(inner), Some(outer)) = (read(inner), read(outer)) else {
        return false;
    };
    let network = |number: u128| {
        if outer.2 == 0 {
            0
        } else {
            number >> (128 - outer.2)
        }
    };
    inner.0 == outer.0 && inner.2 > outer.2 && network(inner.1) == network(outer.1)
}
