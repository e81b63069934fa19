//! Which taints a node should have, from its conditions.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/nodelifecycle`.

use crate::controllers::model::{Condition, Node, Taint, Time};

/// Ready is False.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Ready is Unknown.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Keys with effect NoSchedule that this controller sets and takes away.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    (
        "NetworkUnavailable",
        "True",
        "node.kubernetes.io/network-unavailable",
    ),
];

/// The node's taints as they should be, or `None` if they are so already. Taints of others stay.
pub fn desired(node: &Node, now: Time) -> Option<Vec<Taint>> {
    let conditions = &node.status.conditions;
    let has = |kind: &str, status: &str| {
        Condition::find(conditions, kind).is_some_and(|condition| condition.status == status)
    };
    let mut wanted = Vec::new();
    for (kind, status, key) in BY_CONDITION {
        if has(kind, status) {
            wanted.push((key, "NoSchedule"));
        }
    }
    // A node that has not said anything yet is not ready.
    if Condition::find(conditions, "Ready").is_none() {
        wanted.push((NOT_READY, "NoSchedule"));
    }
    if node.spec.unschedulable {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    if has("Ready", "False") {
        wanted.push((NOT_READY, "NoExecute"));
    } else if has("Ready", "Unknown") {
        wanted.push((UNREACHABLE, "NoExecute"));
    }
    let ours = |taint: &Taint| match taint.effect.as_str() {
        "NoSchedule" => {
            taint.key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, key)| taint.key == *key)
        }
        "NoExecute" => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    };
    let is_wanted = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let mut taints: Vec<_> = node
        .spec
        .taints
        .iter()
        .filter(|taint| !ours(taint) || is_wanted(taint))
        .cloned()
        .collect();
    for (key, effect) in wanted {
        if !taints
            .iter()
            .any(|taint| taint.key == key && taint.effect == effect)
        {
            taints.push(Taint {
                key: key.to_owned(),
                value: String::new(),
                effect: effect.to_owned(),
                time_added: Some(now),
            });
        }
    }
    (taints != node.spec.taints).then_some(taints)
}
