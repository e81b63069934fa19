//! What may be told of a pod through its status (`ValidatePodStatusUpdate`).

use std::collections::HashSet;
use std::net::IpAddr;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Map, Value, json};

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
    let class = |pod: &Value| text(pod, "/status/qosClass").to_owned();
    // One that was stored without a class gets it.
    if !class(old).is_empty() && class(old) != class(new) {
        errors.push(FieldError::invalid(
            "status.qosClass",
            class(new),
            names::IMMUTABLE,
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
    users(&mut errors, new);
    errors
}

const STATUSES: [&str; 3] = [
    "containerStatuses",
    "initContainerStatuses",
    "ephemeralContainerStatuses",
];

/// As whom containers run, which only Linux tells so.
fn users(errors: &mut Vec<FieldError>, pod: &Value) {
    let on_windows = text(pod, "/spec/os/name") == "windows";
    for list in STATUSES {
        for (index, status) in items(pod, &format!("/status/{list}")).iter().enumerate() {
            let user = &status["user"]["linux"];
            let path = format!("status.{list}[{index}].linux");
            if !user.is_object() {
                continue;
            }
            if on_windows {
                errors.push(FieldError::forbidden(path, "cannot be set for a windows pod"));
                continue;
            }
            let single = [("uid", &user["uid"]), ("gid", &user["gid"])];
            let single = single.map(|(field, id)| (format!("{path}.{field}"), id));
            let groups = items(user, "/supplementalGroups").iter().enumerate();
            let groups = groups.map(|(at, id)| (format!("{path}.supplementalGroups[{at}]"), id));
            for (path, id) in single.into_iter().chain(groups) {
                let id = id.as_i64().unwrap_or(0);
                if !(0..=i64::from(i32::MAX)).contains(&id) {
                    let detail = names::range(0, i32::MAX.into());
                    errors.push(FieldError::invalid(path, id, &detail));
                }
            }
        }
    }
}

/// The one address and the list of them say the same: the one decides, and the first of the list where there is none
/// (`Convert_v1_PodStatus_To_core_PodStatus`).
pub(super) fn one_address(status: &mut Map<String, Value>) {
    let one = status.get("podIP").and_then(Value::as_str).unwrap_or_default();
    let first = status
        .get("podIPs")
        .and_then(|list| list.get(0))
        .map(|first| text(first, "/ip"));
    match first {
        Some(first) if one.is_empty() => drop(status.insert("podIP".to_owned(), first.into())),
        None if one.is_empty() => {}
        Some(first) if first == one => {}
        _ => drop(status.insert("podIPs".to_owned(), json!([{"ip": one}]))),
    }
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
        .map(|address| address.to_canonical().is_ipv4())
        .collect();
    if addresses.len() > 1 && addresses.len() != families.len() {
        let detail = "may specify no more than one IP for each IP family";
        let shown = Value::from(addresses.join(","));
        errors.push(FieldError::invalid(path, shown, detail));
    }
}

/// A finished container stays finished unless the pod may restart it, which it never does with an ephemeral one.
fn transitions(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let policy = text(old, "/spec/restartPolicy");
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    for (list, containers) in STATUSES.into_iter().zip(lists) {
        let ephemeral = list == STATUSES[2];
        if policy == "Always" && !ephemeral {
            continue;
        }
        let running: HashSet<&str> = items(new, &format!("/status/{list}"))
            .iter()
            .filter(|is| !is.pointer("/state/terminated").is_some_and(Value::is_object))
            .map(|is| text(is, "/name"))
            .collect();
        let sidecars: HashSet<&str> = items(old, &format!("/spec/{containers}"))
            .iter()
            .filter(|container| text(container, "/restartPolicy") == "Always")
            .map(|container| text(container, "/name"))
            .collect();
        for (index, was) in items(old, &format!("/status/{list}")).iter().enumerate() {
            let ended = was.pointer("/state/terminated").is_some_and(Value::is_object);
            let failed = int(was, "/state/terminated/exitCode") != Some(0);
            let name = text(was, "/name");
            let restarts = sidecars.contains(name) || (failed && policy == "OnFailure");
            if !ended || (restarts && !ephemeral) {
                continue;
            }
            if running.contains(name) {
                let detail = "may not be transitioned to non-terminated state";
                let path = format!("status.{list}[{index}].state");
                errors.push(FieldError::forbidden(path, detail));
            }
        }
    }
}
