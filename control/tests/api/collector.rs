//! Garbage collection, as the conformance suite's rows describe it, with pods that nobody runs.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";
const PODS: &str = "/api/v1/namespaces/default/pods";

impl Cluster {
    /// A replication controller whose pods are there.
    #[track_caller]
    fn controller(&self, name: &str, replicas: usize) -> Value {
        let controller = json!({
            "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"name": name}, "template": {
                "metadata": {"labels": {"name": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
            }},
        });
        let (code, made) = self.post(CONTROLLERS, &controller);
        assert_eq!(code, 201, "{made}");
        self.eventually("its pods", |cluster| cluster.pods_of(name).len() == replicas);
        self.eventually("its status", |cluster| {
            cluster.get(&format!("{CONTROLLERS}/{name}")).1["status"]["replicas"] == replicas
        });
        made
    }

    fn pods_of(&self, name: &str) -> Vec<Value> {
        let (_, list) = self.get(&format!("{PODS}?labelSelector=name%3D{name}"));
        list["items"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn removed(&self, name: &str, policy: &str) {
        let options = json!({"propagationPolicy": policy});
        let (code, answer) = self.delete(&format!("{CONTROLLERS}/{name}"), &options);
        assert!(matches!(code, 200 | 202), "{answer}");
    }
}

fn owner(of: &Value, kind: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "name": of["metadata"]["name"], "uid": of["metadata"]["uid"]})
}

/// Should delete pods created by rc when not orphaning.
#[test]
fn background_deletion_takes_the_pods_along() {
    let cluster = Cluster::start();
    cluster.controller("a", 2);
    cluster.removed("a", "Background");
    assert_eq!(cluster.get(&format!("{CONTROLLERS}/a")).0, 404);
    cluster.eventually("no pods", |cluster| cluster.pods_of("a").is_empty());
}

/// Should orphan pods created by rc if delete options say so.
#[test]
fn orphaned_pods_stay_and_lose_their_owner() {
    let cluster = Cluster::start();
    cluster.controller("a", 10);
    cluster.removed("a", "Orphan");
    cluster.eventually("it goes", |cluster| {
        cluster.get(&format!("{CONTROLLERS}/a")).0 == 404
    });
    // Time for a mistake to show: another deletion is worked through after it.
    cluster.controller("b", 1);
    cluster.removed("b", "Background");
    cluster.eventually("no pods", |cluster| cluster.pods_of("b").is_empty());
    let left = cluster.pods_of("a");
    assert_eq!(left.len(), 10);
    for pod in left {
        assert!(pod["metadata"]["deletionTimestamp"].is_null());
        assert!(
            pod["metadata"]["ownerReferences"]
                .as_array()
                .is_none_or(Vec::is_empty),
            "{pod}"
        );
    }
}

/// Should keep the rc around until all its pods are deleted if the deleteOptions says so.
#[test]
fn foreground_deletion_keeps_the_owner_to_the_end() {
    let cluster = Cluster::start();
    cluster.controller("a", 10);
    // One pod takes its time.
    let slow = cluster.pods_of("a")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let held = json!({"metadata": {"finalizers": ["example.com/wait"]}});
    assert_eq!(
        cluster
            .patch(&format!("{PODS}/{slow}"), "merge-patch+json", &held)
            .0,
        200
    );
    cluster.removed("a", "Foreground");
    cluster.eventually("the other pods go", |cluster| cluster.pods_of("a").len() == 1);
    let (code, waiting) = cluster.get(&format!("{CONTROLLERS}/a"));
    assert_eq!(code, 200);
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(
        cluster
            .patch(&format!("{PODS}/{slow}"), "merge-patch+json", &free)
            .0,
        200
    );
    cluster.eventually("it goes", |cluster| {
        cluster.get(&format!("{CONTROLLERS}/a")).0 == 404
    });
    assert!(cluster.pods_of("a").is_empty());
}

/// Should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted.
#[test]
fn a_pod_with_another_owner_stays() {
    let cluster = Cluster::start();
    cluster.controller("a", 10);
    let stays = cluster.controller("b", 0);
    let shared: Vec<String> = cluster.pods_of("a")[..5]
        .iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    for name in &shared {
        let add = json!({"metadata": {"ownerReferences": [owner(&stays, "ReplicationController")]}});
        let (code, answer) = cluster.patch(&format!("{PODS}/{name}"), "strategic-merge-patch+json", &add);
        assert_eq!(code, 200, "{answer}");
        assert_eq!(answer["metadata"]["ownerReferences"].as_array().unwrap().len(), 2);
    }
    cluster.removed("a", "Foreground");
    cluster.eventually("it goes", |cluster| {
        cluster.get(&format!("{CONTROLLERS}/a")).0 == 404
    });
    let mut left: Vec<String> = cluster
        .pods_of("a")
        .iter()
        .map(|pod| {
            assert!(pod["metadata"]["deletionTimestamp"].is_null(), "{pod}");
            assert_eq!(
                pod["metadata"]["ownerReferences"].as_array().unwrap().len(),
                1,
                "{pod}"
            );
            pod["metadata"]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut expected = shared;
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
}

/// Should not be blocked by dependency circle.
#[test]
fn a_circle_of_owners_goes() {
    let cluster = Cluster::start();
    let pods: Vec<Value> = (1..=3)
        .map(|number| {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod{number}")},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            });
            let (code, made) = cluster.post(PODS, &pod);
            assert_eq!(code, 201, "{made}");
            made
        })
        .collect();
    for (pod, by) in [(0, 2), (1, 0), (2, 1)] {
        let mut reference = owner(&pods[by], "Pod");
        reference["controller"] = true.into();
        reference["blockOwnerDeletion"] = true.into();
        let patch = json!({"metadata": {"ownerReferences": [reference]}});
        let path = format!("{PODS}/{}", pods[pod]["metadata"]["name"].as_str().unwrap());
        assert_eq!(cluster.patch(&path, "merge-patch+json", &patch).0, 200);
    }
    let foreground = json!({"propagationPolicy": "Foreground"});
    let (code, answer) = cluster.delete(&format!("{PODS}/pod1"), &foreground);
    assert!(matches!(code, 200 | 202), "{answer}");
    cluster.eventually("all go", |cluster| cluster.get(PODS).1["items"] == json!([]));
}
