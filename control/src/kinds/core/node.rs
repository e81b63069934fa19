//! Nodes.

use std::collections::BTreeMap;
use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS, go_quote};
use serde_json::{Map, Value};

use super::quota::check_amount;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, is_true, is_unset, items, object_or_new, text};
use crate::kinds::{Kind, Strategy, cells, go, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Status", "string", 0, "The status of the node"),
    ("Roles", "string", 0, "The roles of the node"),
    AGE,
    ("Version", "string", 0, "Kubelet Version reported by the node."),
    (
        "Internal-IP",
        "string",
        1,
        "List of addresses reachable to the node.",
    ),
    (
        "External-IP",
        "string",
        1,
        "List of addresses reachable to the node.",
    ),
    (
        "OS-Image",
        "string",
        1,
        "OS Image reported by the node from /etc/os-release.",
    ),
    (
        "Kernel-Version",
        "string",
        1,
        "Kernel Version reported by the node from 'uname -r'.",
    ),
    (
        "Container-Runtime",
        "string",
        1,
        "ContainerRuntime Version reported by the node through runtime remote API.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Node", "nodes", COLUMNS, Node)
        .cluster()
        .short(&["no"])
        .status()
        .sub("proxy", "v1", "NodeProxyOptions", PROXY)
        .done()
}

/// Verbs of proxy subresources.
pub(super) const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

#[derive(Debug)]
struct Node;

impl Strategy for Node {
    fn default(&self, node: &mut Value) {
        let Some(map) = node.as_object_mut() else { return };
        if let Some(spec) = object_or_new(map, "spec") {
            pod_cidrs(spec);
        }
        if let Some(status) = object_or_new(map, "status")
            && let Some(capacity) = status.get("capacity").and_then(Value::as_object).cloned()
            && let Some(allocatable) = object_or_new(status, "allocatable")
        {
            // What a node can hold is allocatable unless it says less.
            for (resource, amount) in capacity {
                allocatable.entry(resource).or_insert(amount);
            }
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(object)
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = validate(new);
        if text(old, "/spec/externalID") != text(new, "/spec/externalID") {
            errors.push(FieldError::forbidden("spec.externalID", "may not be updated"));
        }
        let mut seen = HashSet::new();
        // What an earlier version has let in is looked at when it changes.
        let addresses = items(new, "/status/addresses");
        let changed = addresses != items(old, "/status/addresses");
        for (index, address) in addresses.iter().enumerate().filter(|_| changed) {
            let pair = (text(address, "/type"), text(address, "/address"));
            if errors.len() <= MOST_ERRORS && !seen.insert(pair) {
                let shown = format!(
                    "core.NodeAddress{{Type:{}, Address:{}}}",
                    go_quote(pair.0),
                    go_quote(pair.1)
                );
                errors.push(FieldError::duplicate_shown(
                    format!("status.addresses[{index}]"),
                    &shown,
                    "",
                ));
            }
        }
        if subresource.is_none() {
            for (field, path) in [("podCIDRs", "spec.podCIDRs"), ("providerID", "spec.providerID")] {
                let was = old.pointer("/spec").and_then(|spec| spec.get(field));
                let is = new.pointer("/spec").and_then(|spec| spec.get(field));
                if was.is_some_and(|was| is != Some(was)) {
                    let detail = "node updates may not change ".to_owned()
                        + if field == "podCIDRs" {
                            "podCIDR except from \"\" to valid"
                        } else {
                            "providerID except from \"\" to valid"
                        };
                    errors.push(FieldError::forbidden(path, &detail));
                }
            }
        }
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        let unschedulable = is_true(object, "/spec/unschedulable").to_string();
        BTreeMap::from([("spec.unschedulable".to_owned(), unschedulable)])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }

    fn row(&self, node: &Value, now: i64) -> Vec<Value> {
        let info = |field: &str, otherwise: &str| {
            cells::text_or(node, &format!("/status/nodeInfo/{field}"), otherwise)
        };
        vec![
            cells::name(node),
            Value::from(status(node)),
            Value::from(roles(node)),
            cells::age(node, now),
            info("kubeletVersion", ""),
            Value::from(address(node, "InternalIP")),
            Value::from(address(node, "ExternalIP")),
            info("osImage", "<unknown>"),
            info("kernelVersion", "<unknown>"),
            info("containerRuntimeVersion", "<unknown>"),
        ]
    }
}

fn status(node: &Value) -> String {
    let ready = items(node, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == "Ready");
    let mut out = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if is_true(node, "/spec/unschedulable") {
        out.push_str(",SchedulingDisabled");
    }
    out
}

fn roles(node: &Value) -> String {
    let mut roles: Vec<&str> = entries(node, "/metadata/labels")
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some("") => None,
                None if key == "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()),
                other => other,
            },
        )
        .collect();
    roles.sort_unstable();
    roles.dedup();
    cells::joined(roles)
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    items(node, "/status/addresses")
        .iter()
        .find(|address| text(address, "/type") == kind)
        .map_or("<none>", |address| text(address, "/address"))
}

fn validate(node: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, taint) in items(node, "/spec/taints").iter().enumerate() {
        let path = format!("metadata.taints[{index}]");
        let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
        errors.extend(FieldError::complaints(
            format_args!("{path}.key"),
            key,
            names::qualified_name(key),
        ));
        let complaints = names::label_value(value);
        if !complaints.is_empty() {
            errors.push(FieldError::invalid(
                format!("{path}.value"),
                value,
                &complaints.join(";"),
            ));
        }
        match effect {
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
            "" => errors.push(FieldError::required(format!("{path}.effect"), "")),
            other => errors.push(FieldError::not_supported(
                format!("{path}.effect"),
                other,
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            )),
        }
        if !seen.insert((key, effect)) {
            let detail = "taints must be unique by key and effect pair";
            errors.push(FieldError::duplicate_shown(path, &go::taint(taint), detail));
        }
    }
    resources(&mut errors, node);
    let ranges = items(node, "/spec/podCIDRs");
    if ranges.len() > 1 {
        let of_six = |range: &&Value| range.as_str().is_some_and(|range| range.contains(':'));
        let six = ranges.iter().filter(of_six).count();
        if six != 1 || ranges.len() != 2 {
            let detail = "may specify no more than one CIDR for each IP family";
            errors.push(FieldError::invalid_shown(
                "spec.podCIDRs",
                &go::list("string", ranges),
                detail,
            ));
        }
    }
    let mut seen = HashSet::new();
    for (index, cidr) in ranges.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return errors;
        }
        if !seen.insert(cidr) {
            errors.push(FieldError::duplicate(
                format!("spec.podCIDRs[{index}]"),
                cidr.clone(),
            ));
        }
        let cidr = cidr.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(
            format_args!("spec.podCIDRs[{index}]"),
            cidr,
            names::cidr(cidr),
        ));
    }
    errors
}

/// What a node has and what of it is for pods.
fn resources(errors: &mut Vec<FieldError>, node: &Value) {
    for list in ["capacity", "allocatable"] {
        for (resource, amount) in entries(node, &format!("/status/{list}")) {
            if errors.len() > MOST_ERRORS {
                return;
            }
            check_amount(errors, resource, amount, &format!("status.{list}.{resource}"));
        }
    }
}

/// Keeps the single podCIDR and the list of them in step, as upstream's conversion does: where they differ, the single one
/// is right.
fn pod_cidrs(spec: &mut Map<String, Value>) {
    let first = spec.get("podCIDRs").and_then(|list| list.get(0)).cloned();
    let single = spec.get("podCIDR").filter(|one| !is_unset(Some(one))).cloned();
    match (first, single) {
        (Some(first), None) => drop(spec.insert("podCIDR".to_owned(), first)),
        (first, Some(single)) if first.as_ref() != Some(&single) => {
            spec.insert("podCIDRs".to_owned(), Value::Array(vec![single]));
        }
        _ => {}
    }
}
