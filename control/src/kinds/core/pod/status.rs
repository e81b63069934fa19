//! What may be told of a pod through its status (`ValidatePodStatusUpdate`).

use std::collections::HashSet;
use std::net::IpAddr;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{int, items, text};

/// Complaints about a new status.
pub(super) fn update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, condition) in items(new, "/status/conditions").iter().enumerate() {
        let kind = text(condition, "/type");
        // Upstream's path, word for word.
        let path = format!("metadata.conditions[{index}].Type");
        errors.extend(FieldError::complaints(&path, kind, names::qualified_name(kind)));
    }
    let nominated = text(new, "/status/nominatedNodeName");
    if !nominated.is_empty() && nominated != text(old, "/status/nominatedNodeName") {
        let complaints = names::dns1123_subdomain(nominated);
        errors.extend(FieldError::complaints(
            "status.nominatedNodeName",
            nominated,
            complaints,
        ));
    }
    transitions(&mut errors, old, new);
    if text(old, "/spec/nodeName") != text(new, "/spec/nodeName") {
        let detail = "may not be changed directly";
        errors.push(FieldError::forbidden("spec.nodeName", detail));
    }
    for list in ["podIPs", "hostIPs"] {
        addresses(&mut errors, new, list);
    }
    let (hosts, host) = (items(new, "/status/hostIPs"), text(new, "/status/hostIP"));
    if let Some(first) = hosts.first().map(|first| text(first, "/ip"))
        && first != host
    {
        let path = "status.hostIPs[0].ip";
        errors.push(FieldError::invalid(path, first, "must be equal to `hostIP`"));
    }
    errors
}

/// At most one address of each family.
fn addresses(errors: &mut Vec<FieldError>, pod: &Value, list: &str) {
    let path = format!("status.{list}");
    let addresses: Vec<&str> = items(pod, &format!("/status/{list}"))
        .iter()
        .map(|address| text(address, "/ip"))
        .collect();
    for (index, address) in addresses.iter().enumerate() {
        let path = format!("{path}[{index}]");
        errors.extend(FieldError::complaints(&path, *address, names::ip(address)));
    }
    let families: HashSet<bool> = addresses
        .iter()
        .filter_map(|address| address.parse::<IpAddr>().ok())
        .map(|address| address.is_ipv4())
        .collect();
    if addresses.len() > 1 && addresses.len() != families.len() {
        let detail = "may specify no more than one IP for each IP family";
        let shown = Value::from(addresses.join(","));
        errors.push(FieldError::invalid(path, shown, detail));
    }
}

/// A finished container stays finished unless the pod may restart it.
fn transitions(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let policy = text(old, "/spec/restartPolicy");
    if policy == "Always" {
        return;
    }
    for (list, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
    ] {
        for was in items(old, &format!("/status/{list}")) {
            let ended = was.pointer("/state/terminated").is_some_and(Value::is_object);
            let failed = int(was, "/state/terminated/exitCode") != Some(0);
            let name = text(was, "/name");
            let sidecar = items(old, &format!("/spec/{containers}"))
                .iter()
                .any(|container| {
                    text(container, "/name") == name && text(container, "/restartPolicy") == "Always"
                });
            if !ended || sidecar || (failed && policy == "OnFailure") {
                continue;
            }
            let is = items(new, &format!("/status/{list}"))
                .iter()
                .find(|is| text(is, "/name") == name);
            if is.is_some_and(|is| !is.pointer("/state/terminated").is_some_and(Value::is_object)) {
                let detail = "may not be transitioned to non-terminated state";
                let path = format!("status.{list}[{name}].state");
                errors.push(FieldError::forbidden(path, detail));
            }
        }
    }
}
