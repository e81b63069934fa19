mod unseen;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{plan, rank};
use crate::controllers::model::{Pod, ReplicaSet, Time};

fn set(replicas: i64) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "rs", "generation": 3},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}},
    }))
    .unwrap()
}

fn pod(uid: &str, edit: impl Fn(&mut Value)) -> Arc<Pod> {
    let mut value = json!({
        "metadata": {"name": uid, "namespace": "default", "uid": uid, "labels": {"app": "web"},
            "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:10Z"}]},
    });
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

const NOW: Time = Time(1_704_070_800);

#[test]
fn victims_in_upstream_order() {
    let expected = [
        pod("unassigned", |p| p["spec"] = json!({})),
        pod("pending", |p| p["status"] = json!({"phase": "Pending"})),
        pod("unready", |p| p["status"]["conditions"] = json!([])),
        pod("cheap", |p| {
            p["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "-5"});
        }),
        pod("crowded", |p| p["spec"]["nodeName"] = json!("n2")),
        pod("ready-lately", |p| {
            p["status"]["conditions"][0]["lastTransitionTime"] = json!("2024-01-01T00:59:00Z");
        }),
        pod("restarted", |p| {
            p["status"]["containerStatuses"] = json!([{"name": "a", "restartCount": 3}]);
        }),
        pod("young", |p| {
            p["metadata"]["creationTimestamp"] = json!("2024-01-01T00:58:00Z");
        }),
        pod("plain", |_| {}),
    ];
    let related = HashMap::from([("n2".to_owned(), 7), ("n1".to_owned(), 1)]);
    let mut sorted = expected.to_vec();
    sorted.reverse();
    sorted.sort_by(|a, b| rank::compare(a, b, &related, NOW));
    let names = |pods: &[Arc<Pod>]| pods.iter().map(|p| p.metadata.uid.clone()).collect::<Vec<_>>();
    assert_eq!(names(&sorted), names(&expected));
}

#[test]
fn status_counts() {
    let pods = [
        pod("a", |_| {}),
        pod("b", |p| p["status"]["conditions"] = json!([])),
        pod("c", |p| {
            p["metadata"]["labels"] = json!({"app": "web", "extra": "1"});
        }),
    ];
    let labels = BTreeMap::from([("extra".to_owned(), "1".to_owned())]);
    let status = plan::status(
        &set(3),
        &pods,
        &labels,
        Some(("FailedCreate", "quota".to_owned())),
        NOW,
    );
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({"replicas": 3, "fullyLabeledReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
            "observedGeneration": 3, "conditions": [{"type": "ReplicaFailure", "status": "True",
                "reason": "FailedCreate", "message": "quota", "lastTransitionTime": "2024-01-01T01:00:00Z"}]})
    );
}

#[test]
fn the_pod_that_is_made() {
    let mut set = set(1);
    set.spec.template = crate::controllers::model::Template::from_value(
        &json!({"metadata": {"labels": {"app": "web"}, "creationTimestamp": null}, "spec": {"containers": []}}),
    );
    let body = super::pod_body(&set, super::resources::replica_sets());
    assert_eq!(
        body,
        json!({"metadata": {"generateName": "web-", "namespace": "default", "labels": {"app": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs",
                "controller": true, "blockOwnerDeletion": true}]},
            "spec": {"containers": []}})
    );
}

proptest! {
    #[test]
    fn converges_and_never_overshoots(wanted in 0i64..40, ready in prop::collection::vec(any::<bool>(), 0..40)) {
        let pods: Vec<_> = ready.iter().enumerate().map(|(n, ready)| pod(&format!("p{n}"), |p| {
            if !ready { p["status"]["conditions"] = json!([]); }
        })).collect();
        let plan = plan::plan(&set(wanted), &pods, &HashMap::new(), NOW);
        prop_assert_eq!(pods.len() + plan.create - plan.delete.len(), wanted as usize);
        prop_assert!(plan.create == 0 || plan.delete.is_empty());
        let unready = ready.iter().filter(|r| !**r).count();
        let unready_victims = plan.delete.iter().filter(|p| !p.is_ready()).count();
        prop_assert_eq!(unready_victims, unready.min(plan.delete.len()), "unready pods go first");
    }
}
