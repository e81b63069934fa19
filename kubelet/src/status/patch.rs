//! The strategic merge patch that brings a pod's status up to date.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

/// The patch for `pods/status`. Only fields the kubelet owns are named; conditions merge by type, so those of other
/// writers stay. The UID makes it fail if another pod has taken the name.
pub fn patch(uid: &str, new: &PodStatus, old: Option<&PodStatus>) -> Value {
    let mut status = serde_json::to_value(new).unwrap_or_default();
    let before = old
        .and_then(|old| serde_json::to_value(old).ok())
        .unwrap_or_default();
    if let Some(fields) = status.as_object_mut() {
        // What has gone must be named to go: a patch leaves alone what it does not mention.
        for key in ["reason", "message", "podIP", "podIPs"] {
            if !fields.contains_key(key) && before.get(key).is_some() {
                fields.insert(key.into(), Value::Null);
            }
        }
        // These lists merge by address: what is there, perhaps by an answer that was lost, must be replaced.
        for key in ["podIPs", "hostIPs"] {
            if let Some(Value::Array(list)) = fields.get_mut(key) {
                list.push(json!({"$patch": "replace"}));
            }
        }
        let old = before
            .get("conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if let Some(Value::Array(conditions)) = fields.get_mut("conditions") {
            for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
                let same = old.iter().find(|c| c.get("type") == condition.get("type"));
                for key in ["reason", "message"] {
                    if same.is_some_and(|c| c.get(key).is_some()) {
                        condition.entry(key).or_insert(Value::Null);
                    }
                }
            }
        }
    }
    json!({"metadata": {"uid": uid}, "status": status})
}
