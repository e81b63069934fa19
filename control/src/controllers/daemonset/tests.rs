use std::sync::Arc;

use serde_json::{Value, json};

use super::plan::{Plan, plan};
use super::pod;
use crate::controllers::model::{DaemonSet, Node, Pod, Time};

const NOW: Time = Time(1_704_070_800);

fn set(edit: impl FnOnce(&mut Value)) -> DaemonSet {
    let mut value = json!({
        "metadata": {"name": "agent", "namespace": "default", "uid": "ds", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "agent"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "a"}]}}},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn node(name: &str, edit: impl FnOnce(&mut Value)) -> Arc<Node> {
    let mut value = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn running(name: &str, node: &str, hash: &str, edit: impl FnOnce(&mut Value)) -> Arc<Pod> {
    let mut value = json!({
        "metadata": {"name": name, "uid": name, "labels": {"app": "agent", "controller-revision-hash": hash}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z"}]},
    });
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn decide(set: &DaemonSet, nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> (Plan, Vec<String>) {
    let plan = plan(set, &pod::template(set), "new", nodes, pods, NOW);
    let deleted = plan.delete.iter().map(|pod| pod.metadata.name.clone()).collect();
    (plan, deleted)
}

#[test]
fn one_pod_on_every_right_node() {
    let nodes = [
        node("a", |_| {}),
        node("b", |n| {
            n["spec"] = json!({"taints": [{"key": "mine", "effect": "NoSchedule"}]});
        }),
        node("c", |n| {
            n["spec"] = json!({"unschedulable": true,
                "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]});
        }),
        node("d", |n| n["metadata"]["labels"] = json!({"disk": "ssd"})),
    ];
    let (plan, _) = decide(&set(|_| {}), &nodes, &[]);
    assert_eq!(
        plan.create,
        ["a", "c", "d"],
        "cordoned nodes run daemons, tainted ones do not"
    );
    assert_eq!(
        (
            plan.status.desired_number_scheduled,
            plan.status.number_unavailable
        ),
        (3, 3)
    );
    let (plan, _) = decide(
        &set(|s| s["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"})),
        &nodes,
        &[],
    );
    assert_eq!(plan.create, ["d"]);
}

#[test]
fn the_pod_names_its_node_by_affinity() {
    let set = set(|set| {
        set["metadata"]["annotations"] = json!({"deprecated.daemonset.template.generation": "3"});
    });
    let body = pod::pod(&set, &pod::template(&set), "h", "n1");
    assert_eq!(body["metadata"]["labels"]["pod-template-generation"], "3");
    assert_eq!(
        body["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"],
        json!({"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]})
    );
    let parsed: Pod = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(parsed.spec.pinned_node, "n1");
    assert_eq!(body["metadata"]["labels"]["controller-revision-hash"], "h");
    assert_eq!(body["spec"]["tolerations"].as_array().unwrap().len(), 6);
}

#[test]
fn surplus_misplaced_and_failed_pods_go() {
    let nodes = [
        node("a", |_| {}),
        node("b", |n| {
            n["spec"] = json!({"taints": [{"key": "x", "effect": "NoExecute"}]});
        }),
    ];
    let pods = [
        running("one", "a", "new", |_| {}),
        running("two", "a", "new", |p| {
            p["metadata"]["creationTimestamp"] = json!("2024-01-01T00:00:00Z");
        }),
        running("wrong", "b", "new", |_| {}),
    ];
    let (plan, deleted) = decide(&set(|_| {}), &nodes, &pods);
    assert_eq!(deleted, ["two", "wrong"]);
    assert_eq!(
        (plan.status.number_misscheduled, plan.status.number_ready),
        (1, 1)
    );
    let failed = [running("bad", "a", "new", |p| {
        p["status"]["phase"] = json!("Failed");
    })];
    let (plan, _) = decide(&set(|_| {}), &nodes, &failed);
    assert_eq!((plan.failed.len(), plan.create.len()), (1, 0));
}

#[test]
fn rolling_updates_keep_their_bound() {
    let nodes = ["a", "b", "c"].map(|name| node(name, |_| {}));
    let old = ["a", "b", "c"].map(|name| running(&format!("old-{name}"), name, "old", |_| {}));
    let (_, deleted) = decide(&set(|_| {}), &nodes, &old);
    assert_eq!(deleted, ["old-a"]);
    let one_down = [old[1].clone(), old[2].clone()];
    let (plan, deleted) = decide(&set(|_| {}), &nodes, &one_down);
    assert_eq!((plan.create, deleted.len()), (vec!["a".to_owned()], 0));
    let sick = running("old-b", "b", "old", |p| p["status"]["conditions"] = json!([]));
    let (_, deleted) = decide(&set(|_| {}), &nodes, &[old[0].clone(), sick, old[2].clone()]);
    assert_eq!(deleted, ["old-b"], "a sick pod goes first, and uses the bound up");
    let (_, deleted) = decide(
        &set(|s| s["spec"]["updateStrategy"] = json!({"type": "OnDelete"})),
        &nodes,
        &old,
    );
    assert!(deleted.is_empty());
}

#[test]
fn surging_updates_start_before_they_stop() {
    let surge =
        set(|s| s["spec"]["updateStrategy"]["rollingUpdate"] = json!({"maxUnavailable": 0, "maxSurge": 1}));
    let nodes = ["a", "b"].map(|name| node(name, |_| {}));
    let old = ["a", "b"].map(|name| running(&format!("old-{name}"), name, "old", |_| {}));
    let (plan, deleted) = decide(&surge, &nodes, &old);
    assert_eq!((plan.create, deleted.len()), (vec!["a".to_owned()], 0));
    let starting = running("new-a", "a", "new", |p| p["status"]["conditions"] = json!([]));
    let (plan, deleted) = decide(&surge, &nodes, &[old[0].clone(), old[1].clone(), starting]);
    assert_eq!((plan.create.len(), deleted.len()), (0, 0), "{:?}", plan.create);
    let started = running("new-a", "a", "new", |_| {});
    let (_, deleted) = decide(&surge, &nodes, &[old[0].clone(), old[1].clone(), started]);
    assert_eq!(deleted, ["old-a"]);
}
