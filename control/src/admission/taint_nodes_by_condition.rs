//! TaintNodesByCondition: a new node gets no pods until it has been seen ready (the node controller removes the taint).

use serde_json::json;

use super::Request;
use super::fields::{list, map, text};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub fn admit(request: &mut Request<'_>) {
    if !request.creates("", "nodes") {
        return;
    }
    let spec = request.object.as_deref_mut().and_then(|node| map(node, "spec"));
    let Some(taints) = spec.and_then(|spec| list(spec, "taints")) else {
        return;
    };
    let has = taints
        .iter()
        .any(|taint| text(taint, "/key") == NOT_READY && text(taint, "/effect") == "NoSchedule");
    if !has {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}
