use proptest::prelude::*;
use serde_json::{Value, json};

use super::cidr::Pool;
use super::evict::{Verdict, verdict};
use super::{health, taints};
use crate::controllers::model::{Node, Taint, Time, Toleration};

const NOW: Time = Time(1_704_070_800);

fn node(ready: &str, edit: impl FnOnce(&mut Value)) -> Node {
    let mut value = json!({
        "metadata": {"name": "n1", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2024-01-01T00:30:00Z"}]},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn keys(taints: Option<Vec<Taint>>) -> Vec<String> {
    taints
        .unwrap()
        .iter()
        .map(|taint| format!("{}:{}", taint.key, taint.effect))
        .collect()
}

#[test]
fn taints_follow_conditions() {
    assert_eq!(taints::desired(&node("True", |_| {}), NOW), None);
    assert_eq!(
        keys(taints::desired(&node("False", |_| {}), NOW)),
        [
            "node.kubernetes.io/not-ready:NoSchedule",
            "node.kubernetes.io/not-ready:NoExecute"
        ]
    );
    assert_eq!(
        keys(taints::desired(&node("Unknown", |_| {}), NOW)),
        [
            "node.kubernetes.io/unreachable:NoSchedule",
            "node.kubernetes.io/unreachable:NoExecute"
        ]
    );
    let fresh = node("True", |n| {
        n["spec"]["taints"] = json!([
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
            {"key": "mine", "value": "x", "effect": "NoExecute"}]);
        n["spec"]["unschedulable"] = json!(true);
    });
    assert_eq!(
        keys(taints::desired(&fresh, NOW)),
        ["mine:NoExecute", "node.kubernetes.io/unschedulable:NoSchedule"]
    );
    let silent = node("True", |n| n["status"] = json!({}));
    assert_eq!(
        keys(taints::desired(&silent, NOW)),
        ["node.kubernetes.io/not-ready:NoSchedule"]
    );
}

#[test]
fn silence_makes_conditions_unknown() {
    let conditions = health::unknown(&node("True", |_| {}), NOW);
    assert_eq!(
        conditions[0],
        json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.", "lastTransitionTime": "2024-01-01T01:00:00Z",
            "lastHeartbeatTime": "2024-01-01T00:30:00Z"})
    );
    assert_eq!(
        (conditions.len(), conditions[1]["reason"].as_str()),
        (4, Some("NodeStatusNeverUpdated"))
    );
    let all = node("Unknown", |n| {
        n["status"]["conditions"] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
            .map(|kind| json!({"type": kind, "status": "Unknown"}))
            .to_vec()
            .into();
    });
    assert!(health::unknown(&all, NOW).is_empty());
}

#[test]
fn tolerations_delay_eviction() {
    let taint = |key: &str, ago: i64| Taint {
        key: key.to_owned(),
        effect: "NoExecute".to_owned(),
        time_added: Some(Time(NOW.0 - ago)),
        ..Taint::default()
    };
    let toleration = |key: &str, seconds: Option<i64>| Toleration {
        key: key.to_owned(),
        operator: "Exists".to_owned(),
        toleration_seconds: seconds,
        ..Toleration::default()
    };
    assert_eq!(verdict(&[taint("a", 10)], &[], NOW), Verdict::At(NOW));
    assert_eq!(
        verdict(&[taint("a", 10)], &[toleration("a", None)], NOW),
        Verdict::Stay
    );
    assert_eq!(
        verdict(&[taint("a", 10)], &[toleration("a", Some(300))], NOW),
        Verdict::At(Time(NOW.0 + 290))
    );
    assert_eq!(
        verdict(
            &[taint("a", 10), taint("b", 0)],
            &[toleration("a", Some(300)), toleration("b", Some(60))],
            NOW
        ),
        Verdict::At(Time(NOW.0 + 60))
    );
    assert_eq!(
        verdict(&[taint("a", 1), taint("b", 1)], &[toleration("a", None)], NOW),
        Verdict::At(NOW)
    );
}

#[test]
fn pools() {
    let mut pool = Pool::new("10.42.0.0/16").unwrap();
    assert_eq!(pool.take().as_deref(), Some("10.42.0.0/24"));
    pool.occupy("10.42.1.0/24");
    pool.occupy("10.99.1.0/24");
    pool.occupy("nonsense");
    assert_eq!(pool.take().as_deref(), Some("10.42.2.0/24"));
    let mut small = Pool::new("192.168.7.9/24").unwrap();
    assert_eq!(small.take().as_deref(), Some("192.168.7.0/24"));
    assert_eq!(small.take(), None);
    let mut six = Pool::new("fd42::/48").unwrap();
    assert_eq!(
        (six.take().as_deref(), six.take().as_deref()),
        (Some("fd42::/64"), Some("fd42:0:0:1::/64"))
    );
    for wrong in ["", "10.0.0.0", "10.0.0.0/25", "10.0.0.0/33", "fd00::/65", "x/16"] {
        assert!(Pool::new(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn ranges_are_never_given_twice(taken in prop::collection::btree_set(0u8..8, 0..8)) {
        let mut pool = Pool::new("10.0.0.0/21").unwrap();
        for third in &taken {
            pool.occupy(&format!("10.0.{third}.0/24"));
        }
        let given: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        prop_assert_eq!(given.len() + taken.len(), 8);
        let mut before = taken.iter().map(|third| format!("10.0.{third}.0/24"));
        prop_assert!(before.all(|cidr| !given.contains(&cidr)));
    }
}
