mod spread;
mod topology;

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NodeView, PodView, Snapshot, schedule};

fn node(name: &str, edit: impl FnOnce(&mut Value)) -> Arc<NodeView> {
    let mut value = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}},
    });
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn pod(name: &str, edit: impl FnOnce(&mut Value)) -> Arc<PodView> {
    let mut value = json!({
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}},
        "spec": {"schedulerName": "default-scheduler", "containers": [{"name": "a"}]},
    });
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn cpu(amount: &str) -> impl FnOnce(&mut Value) {
    let amount = amount.to_owned();
    move |value| value["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": amount}})
}

fn cluster(nodes: &[Arc<NodeView>]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for node in nodes {
        snapshot.set_node(node);
    }
    snapshot
}

fn refusal(pod: &PodView, snapshot: &Snapshot) -> String {
    schedule(pod, snapshot, 0).unwrap_err().message()
}

#[test]
fn messages_are_upstreams() {
    let one = cluster(&[node("n1", |_| {})]);
    let mut full = cluster(&[node("n1", |_| {})]);
    full.place(&pod("busy", cpu("1500m")), "n1");
    assert_eq!(
        refusal(&pod("p", cpu("1")), &full),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
         1 No preemption victims found for incoming pod."
    );
    assert_eq!(
        refusal(
            &pod("p", |p| p["spec"]["nodeSelector"] = json!({"disk": "ssd"})),
            &one
        ),
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: \
         0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    let tainted = cluster(&[
        node("n1", |n| {
            n["spec"]["taints"] = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
        }),
        node("n2", |n| n["spec"]["unschedulable"] = json!(true)),
    ]);
    assert_eq!(
        refusal(&pod("p", |_| {}), &tainted),
        "0/2 nodes are available: 1 node(s) had untolerated taint {k: v}, 1 node(s) were unschedulable. \
         preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    );
    assert_eq!(
        refusal(&pod("p", |_| {}), &cluster(&[])),
        "no nodes available to schedule pods"
    );
}

#[test]
fn tolerations_ports_and_affinity() {
    let tainted = cluster(&[node("n1", |n| {
        n["spec"]["taints"] = json!([{"key": "k", "effect": "NoExecute"}]);
    })]);
    let tolerant = pod("p", |p| {
        p["spec"]["tolerations"] = json!([{"key": "k", "operator": "Exists"}]);
    });
    assert_eq!(schedule(&tolerant, &tainted, 0).unwrap(), "n1");

    let port = |ip: &'static str| {
        move |p: &mut Value| {
            p["spec"]["containers"][0]["ports"] =
                json!([{"containerPort": 80, "hostPort": 80, "hostIP": ip}]);
        }
    };
    let mut two = cluster(&[node("n1", |_| {}), node("n2", |_| {})]);
    two.place(&pod("first", port("127.0.0.1")), "n1");
    assert_eq!(schedule(&pod("second", port("")), &two, 0).unwrap(), "n2");
    let by_field = pod("p", |p| {
        p["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!(
            {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]});
    });
    assert_eq!(schedule(&by_field, &two, 1).unwrap(), "n1");
}

#[test]
fn anti_affinity_works_both_ways() {
    let mut two = cluster(&[node("n1", |_| {}), node("n2", |_| {})]);
    let alone = |p: &mut Value| {
        p["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!(
            [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]);
    };
    let first = schedule(&pod("a", alone), &two, 0).unwrap();
    two.place(&pod("a", alone), &first);
    let second = schedule(&pod("b", |_| {}), &two, 0).unwrap();
    assert_ne!(first, second, "a keeps b away");
    two.place(&pod("b", |_| {}), &second);
    let message = refusal(&pod("c", alone), &two);
    assert!(
        message.contains("2 node(s) didn't match pod anti-affinity rules"),
        "{message}"
    );
    let friend = pod("d", |p| {
        p["metadata"]["labels"] = json!({"app": "cache"});
        p["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!(
            [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]);
    });
    assert!(schedule(&friend, &two, 0).is_ok());
    two.remove_pod("a");
    two.remove_pod("b");
    assert!(refusal(&friend, &two).contains("2 node(s) didn't match pod affinity rules"));
    let own = pod("e", |p| {
        p["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!(
            [{"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]);
    });
    assert!(
        schedule(&own, &two, 0).is_ok(),
        "the first of a group may go anywhere"
    );
}

#[test]
fn spread_constraints() {
    let zone = |zone: &'static str| move |n: &mut Value| n["metadata"]["labels"]["zone"] = json!(zone);
    let mut two = cluster(&[node("n1", zone("a")), node("n2", zone("b")), node("n3", |_| {})]);
    let spread = |p: &mut Value| {
        p["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]);
    };
    for name in ["a", "b", "c", "d"] {
        let chosen = schedule(&pod(name, spread), &two, 0).unwrap();
        two.place(&pod(name, spread), &chosen);
    }
    let count = |name: &str| {
        two.nodes()
            .find(|(_, n)| n.meta.name == name)
            .unwrap()
            .0
            .pods
            .len()
    };
    assert_eq!((count("n1"), count("n2"), count("n3")), (2, 2, 0));
}

#[test]
fn replicas_spread_over_nodes() {
    let mut three = cluster(&[node("n1", |_| {}), node("n2", |_| {}), node("n3", |_| {})]);
    let owned = |p: &mut Value| {
        p["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "uid": "rs", "controller": true}]);
    };
    let mut counts = HashMap::new();
    for number in 0..9 {
        let pod = pod(&format!("p{number}"), owned);
        let chosen = schedule(&pod, &three, number).unwrap();
        three.place(&pod, &chosen);
        *counts.entry(chosen).or_insert(0) += 1;
    }
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [3, 3, 3]);
}

proptest! {
    /// Whatever comes and goes, no node is overcommitted, and the sums stay true.
    #[test]
    fn never_overcommits(steps in prop::collection::vec((0u8..30, 0u32..1500, any::<bool>()), 1..80)) {
        let mut snapshot = cluster(&[node("n1", |_| {}), node("n2", |_| {})]);
        for (number, millis, keep) in steps {
            let name = format!("p{number}");
            if keep {
                if snapshot.place_of(&name).is_some() { continue; }
                let pod = pod(&name, cpu(&format!("{millis}m")));
                if let Ok(chosen) = schedule(&pod, &snapshot, usize::from(number)) {
                    snapshot.place(&pod, &chosen);
                }
            } else {
                snapshot.remove_pod(&name);
            }
            for (state, node) in snapshot.nodes() {
                let sum: i64 = state.pods.values().map(|pod| pod.request.cpu).sum();
                prop_assert_eq!(sum, state.used.cpu);
                prop_assert!(sum <= node.allocatable.cpu);
                prop_assert!(state.pods.len() as i64 <= node.pods);
            }
        }
    }
}
