//! NodeRestriction: a kubelet writes its own Node, its own lease, and the status of its own pods, and nothing that
//! would let it gain more. What it may read is the node authorizer's business.

use std::collections::BTreeSet;

use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Operation, Request, node_audiences, node_certificates};
use crate::auth::resources::{NODES, PODS};
use crate::auth::{Target, node_name, targets};

const MIRROR: &str = "kubernetes.io/config.mirror";
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// Labels in the `kubernetes.io` and `k8s.io` families that a kubelet sets on its own Node. Every other one there is
/// for administrators, who place workloads by them.
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Families of labels that it may set as well.
const OWN_FAMILIES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

pub fn admit(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let Some(node) = node_name(request.user) else {
        return Ok(());
    };
    if node.is_empty() {
        return Err(request.forbidden(&format!(
            "could not determine node from user {}",
            go_quote(&request.user.name)
        )));
    }
    match (request.kind.group.as_ref(), request.kind.plural.as_ref()) {
        ("", "pods") => pods(context, request, node),
        ("", "nodes") => nodes(request, node),
        ("", "serviceaccounts") if request.subresource == "token" => token(context, request, node),
        ("", "persistentvolumeclaims") => claims(request),
        ("coordination.k8s.io", "leases") => named(request, node, true),
        ("storage.k8s.io", "csinodes") => named(request, node, false),
        ("certificates.k8s.io", "certificatesigningrequests") => node_certificates::check(request, node),
        _ => Ok(()),
    }
}

fn pods(context: &Context, request: &Request<'_>, node: &str) -> Result<(), Status> {
    let quoted = go_quote(node);
    let elsewhere = |pod: &Value| text(pod, "/spec/nodeName") != node;
    match (request.subresource, request.operation) {
        ("", Operation::Create) => mirror_pod(context, request, node),
        ("", Operation::Delete) if elsewhere(request.stored()) => Err(request.forbidden(&format!(
            "node {quoted} can only delete pods with spec.nodeName set to itself"
        ))),
        ("", Operation::Delete) => Ok(()),
        ("", operation) => Err(request.forbidden(&format!("unexpected operation {operation:?}"))),
        ("status", Operation::Update) => {
            if elsewhere(request.stored()) {
                return Err(request.forbidden(&format!(
                    "node {quoted} can only update pod status for pods with spec.nodeName set to itself"
                )));
            }
            let labels = |pod: &Value| pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
            if labels(request.stored()) != labels(request.object()) {
                return Err(
                    request.forbidden(&format!("node {quoted} cannot update labels through pod status"))
                );
            }
            Ok(())
        }
        ("eviction", Operation::Create) => {
            let name = if request.name.is_empty() {
                text(request.object(), "/metadata/name")
            } else {
                request.name
            };
            let pod = context
                .reader
                .get(&PODS, request.namespace, name)
                .map(|pod| pod.value());
            if pod.as_ref().is_none_or(elsewhere) {
                return Err(request.forbidden(&format!(
                    "node {quoted} can only evict pods with spec.nodeName set to itself"
                )));
            }
            Ok(())
        }
        (other, _) => Err(request.forbidden(&format!(
            "unexpected pod subresource {}, only 'status' and 'eviction' are allowed",
            go_quote(other)
        ))),
    }
}

/// A mirror pod has one owner: the Node itself.
fn owned_by(context: &Context, request: &Request<'_>, node: &str) -> Result<(), Status> {
    let quoted = go_quote(node);
    let only = |what: &str| {
        let why = format!("node {quoted} can only create pods with {what} set to itself");
        Err(request.forbidden(&why))
    };
    let owner = match items(request.object(), "/metadata/ownerReferences") {
        [owner] => owner,
        [] => return only("an owner reference"),
        _ => return only("a single owner reference"),
    };
    if owner["apiVersion"] != "v1" || owner["kind"] != "Node" || owner["name"] != node {
        return only("an owner reference");
    }
    if owner["controller"] != true {
        return only("a controller owner reference");
    }
    if owner["blockOwnerDeletion"] == true {
        return Err(request.forbidden(&format!(
            "node {quoted} must not set blockOwnerDeletion on an owner reference"
        )));
    }
    let Some(stored) = context.reader.get(&NODES, "", node) else {
        return Err(Status::not_found("", "nodes", node));
    };
    let given = text(owner, "/uid");
    if given != stored.uid {
        return Err(request.forbidden(&format!(
            "node {node} UID mismatch: expected {given} got {}",
            stored.uid
        )));
    }
    Ok(())
}

fn mirror_pod(context: &Context, request: &Request<'_>, node: &str) -> Result<(), Status> {
    let (pod, quoted) = (request.object(), go_quote(node));
    if pod["metadata"]["annotations"][MIRROR].is_null() {
        return Err(request.forbidden(&format!(
            "pod does not have {} annotation, node {quoted} can only create mirror pods",
            go_quote(MIRROR)
        )));
    }
    if text(pod, "/spec/nodeName") != node {
        return Err(request.forbidden(&format!(
            "node {quoted} can only create pods with spec.nodeName set to itself"
        )));
    }
    owned_by(context, request, node)?;
    let refused = |what: &str| {
        Err(request.forbidden(&format!(
            "node {quoted} can not create pods that reference {what}"
        )))
    };
    if !text(pod, "/spec/serviceAccountName").is_empty() {
        return refused("a service account");
    }
    let sources = items(pod, "/spec/volumes").iter().flat_map(|volume| {
        items(volume, "/projected/sources")
            .iter()
            .chain(std::iter::once(volume))
    });
    for source in sources {
        for (field, what) in [
            ("secret", "secrets"),
            ("configMap", "configmaps"),
            ("persistentVolumeClaim", "persistentvolumeclaims"),
            ("ephemeral", "persistentvolumeclaims"),
            ("serviceAccountToken", "a service account"),
        ] {
            if !source[field].is_null() {
                return refused(what);
            }
        }
    }
    for list in ["/spec/containers", "/spec/initContainers"] {
        for container in items(pod, list) {
            for variable in items(container, "/env") {
                if !variable["valueFrom"]["secretKeyRef"].is_null() {
                    return refused("secrets");
                }
                if !variable["valueFrom"]["configMapKeyRef"].is_null() {
                    return refused("configmaps");
                }
            }
            for source in items(container, "/envFrom") {
                if !source["secretRef"].is_null() {
                    return refused("secrets");
                }
                if !source["configMapRef"].is_null() {
                    return refused("configmaps");
                }
            }
        }
    }
    if !items(pod, "/spec/imagePullSecrets").is_empty() {
        return refused("secrets");
    }
    if !items(pod, "/spec/resourceClaims").is_empty() {
        return refused("resourceclaims");
    }
    // Whatever else would open an object to the node, were this not a mirror pod.
    match targets(pod).first() {
        None => Ok(()),
        Some((Target::ConfigMap, _)) => refused("configmaps"),
        Some((Target::Claim | Target::Volume, _)) => refused("persistentvolumeclaims"),
        Some((Target::ServiceAccount, _)) => refused("a service account"),
        Some((Target::Secret | Target::Pod | Target::Attachment, _)) => refused("secrets"),
    }
}

fn nodes(request: &Request<'_>, node: &str) -> Result<(), Status> {
    let quoted = go_quote(node);
    let name = match request.operation {
        Operation::Create => text(request.object(), "/metadata/name"),
        _ => request.name,
    };
    if name != node {
        return Err(request.forbidden(&format!(
            "node {quoted} is not allowed to modify node {}",
            go_quote(name)
        )));
    }
    let (old, new) = (request.stored(), request.object());
    let labels = forbidden_labels(old, new);
    match request.operation {
        Operation::Create if !labels.is_empty() => Err(request.forbidden(&format!(
            "node {quoted} is not allowed to set the following labels: {}",
            labels.join(", ")
        ))),
        Operation::Update => {
            let empty = |value: &Value| value.as_array().cloned().unwrap_or_default();
            if empty(&old["spec"]["taints"]) != empty(&new["spec"]["taints"]) {
                return Err(request.forbidden(&format!("node {quoted} is not allowed to modify taints")));
            }
            if empty(&old["metadata"]["ownerReferences"]) != empty(&new["metadata"]["ownerReferences"]) {
                return Err(
                    request.forbidden(&format!("node {quoted} is not allowed to modify ownerReferences"))
                );
            }
            if !labels.is_empty() {
                return Err(
                    request.forbidden(&format!("is not allowed to modify labels: {}", labels.join(", ")))
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The labels that differ and that are not a kubelet's to set.
fn forbidden_labels(old: &Value, new: &Value) -> Vec<String> {
    let labels = |node: &Value| {
        node["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default()
    };
    let (old, new) = (labels(old), labels(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key) && is_reserved(key))
        .cloned()
        .collect()
}

fn is_reserved(label: &str) -> bool {
    let family = label.split_once('/').map_or("", |(family, _)| family);
    let within =
        |root: &str| family == root || family.strip_suffix(root).is_some_and(|rest| rest.ends_with('.'));
    if within("node-restriction.kubernetes.io") {
        return true;
    }
    (within("kubernetes.io") || within("k8s.io"))
        && !OWN_LABELS.contains(&label)
        && !OWN_FAMILIES.iter().any(|own| within(own))
}

/// Tokens only for pods that run here, and bound to them.
fn token(context: &Context, request: &Request<'_>, node: &str) -> Result<(), Status> {
    let bound = &request.object()["spec"]["boundObjectRef"];
    if text(bound, "/kind") != "Pod" || text(bound, "/apiVersion") != "v1" || text(bound, "/name").is_empty()
    {
        return Err(request.forbidden("node requested token not bound to a pod"));
    }
    if text(bound, "/uid").is_empty() {
        return Err(request.forbidden("node requested token with a pod binding without a uid"));
    }
    let name = text(bound, "/name");
    let Some(pod) = context.reader.get(&PODS, request.namespace, name) else {
        return Err(Status::not_found("", "pods", name));
    };
    if pod.uid != text(bound, "/uid") {
        return Err(Status::conflict_because(
            "",
            "Pod",
            name,
            &format!(
                "the UID in the bound object reference ({}) does not match the UID in record ({})",
                text(bound, "/uid"),
                pod.uid
            ),
        ));
    }
    let pod = pod.value();
    if text(&pod, "/spec/nodeName") != node {
        return Err(request.forbidden("node requested token bound to a pod scheduled on a different node"));
    }
    node_audiences::check(context, request, &pod)
}

/// A kubelet reports how far the file system of a claim has grown, and changes nothing else of it.
fn claims(request: &Request<'_>) -> Result<(), Status> {
    if request.subresource != "status" || request.operation != Operation::Update {
        return Err(request.forbidden("a node may only update the status of a persistentvolumeclaim"));
    }
    let without = |claim: &Value| {
        let mut claim = claim.clone();
        for (parent, fields) in [
            (
                "status",
                &[
                    "capacity",
                    "conditions",
                    "allocatedResources",
                    "allocatedResourceStatuses",
                ][..],
            ),
            ("metadata", &["managedFields"][..]),
        ] {
            if let Some(parent) = claim.get_mut(parent).and_then(Value::as_object_mut) {
                for field in fields {
                    parent.remove(*field);
                }
            }
        }
        claim
    };
    if without(request.stored()) != without(request.object()) {
        return Err(request.forbidden("a node may only change the size in a persistentvolumeclaim's status"));
    }
    Ok(())
}

/// Objects that carry the node's name.
fn named(request: &Request<'_>, node: &str, is_lease: bool) -> Result<(), Status> {
    if is_lease && request.namespace != LEASE_NAMESPACE {
        return Err(request.forbidden(&format!(
            "can only access leases in the {} system namespace",
            go_quote(LEASE_NAMESPACE)
        )));
    }
    let name = match request.operation {
        Operation::Create => text(request.object(), "/metadata/name"),
        _ => request.name,
    };
    if name != node {
        let what = if is_lease { "node lease" } else { "CSINode" };
        return Err(request.forbidden(&format!(
            "can only access {what} with the same name as the requesting node"
        )));
    }
    Ok(())
}
