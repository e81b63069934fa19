//! Who uses what.

use serde_json::json;

use super::claim::uses;
use super::volume::decide;
use crate::controllers::model::{Pod, Volume};

fn pod(node: &str, phase: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {"nodeName": node, "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "other", "emptyDir": {}},
        ]},
        "status": {"phase": phase},
    }))
    .unwrap()
}

#[test]
fn a_claim_is_held_by_pods_that_have_a_node() {
    let running = pod("n", "Running");
    assert!(uses(&running, "c") && uses(&running, "p-scratch"));
    assert!(!uses(&running, "data") && !uses(&running, "scratch") && !uses(&running, "p-other"));
    assert!(!uses(&pod("", "Pending"), "c"));
    // An ended pod still names the claim; what was made for it alone is free.
    let ended = pod("n", "Succeeded");
    assert!(uses(&ended, "c") && !uses(&ended, "p-scratch"));
}

#[test]
fn a_volume_is_held_while_it_is_bound() {
    let volume = |deleted: bool, finalizers: &[&str], phase: &str| -> Volume {
        let mut object = json!({
            "metadata": {"name": "v", "finalizers": finalizers}, "status": {"phase": phase},
        });
        if deleted {
            object["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        }
        serde_json::from_value(object).unwrap()
    };
    let protected = &["kubernetes.io/pv-protection"][..];
    assert_eq!(decide(&volume(false, &[], "Available")), Some(true));
    assert_eq!(decide(&volume(false, protected, "Available")), None);
    assert_eq!(decide(&volume(true, protected, "Bound")), None);
    assert_eq!(decide(&volume(true, protected, "Released")), Some(false));
    assert_eq!(decide(&volume(true, &["example.com/x"], "Released")), None);
}
