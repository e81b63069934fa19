//! What to say about a node whose kubelet has gone silent.

use serde_json::{Value, json};

use crate::controllers::model::{Condition, Node, Time};

/// Silence after which a node is unknown (`--node-monitor-grace-period`: 40 s before 1.32, 50 s since; the issue of
/// this project names 40 s).
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(40);

/// Conditions that depend on the kubelet.
const OBSERVED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Conditions to patch so that all the kubelet's are Unknown; empty if they are already.
pub fn unknown(node: &Node, now: Time) -> Vec<Value> {
    let mut changed = Vec::new();
    for kind in OBSERVED {
        let known = Condition::find(&node.status.conditions, kind);
        let (reason, message, heartbeat) = match known {
            Some(known) if known.status == "Unknown" => continue,
            Some(known) => (
                "NodeStatusUnknown",
                "Kubelet stopped posting node status.",
                known.last_heartbeat_time,
            ),
            None => (
                "NodeStatusNeverUpdated",
                "Kubelet never posted node status.",
                Some(node.metadata.created),
            ),
        };
        let mut condition = json!({
            "type": kind,
            "status": "Unknown",
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
        });
        if let Some(heartbeat) = heartbeat {
            condition["lastHeartbeatTime"] = json!(heartbeat);
        }
        changed.push(condition);
    }
    changed
}

/// The newest heartbeat in the conditions.
pub fn heartbeat(node: &Node) -> Option<Time> {
    node.status
        .conditions
        .iter()
        .filter_map(|condition| condition.last_heartbeat_time)
        .max()
}
