//! Claims and volumes do not go while they are used, and go when they are not.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn pod(name: &str, node: &str, claim: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "nodeName": node, "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        },
    })
}

#[test]
fn a_claim_stays_until_its_last_pod_has_gone() {
    let cluster = Cluster::start();
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: worker}\n";
    cluster.kubectl_with(&["create", "-f", "-"], node).ok();
    for name in ["used", "free"] {
        let (code, made) = cluster.post(CLAIMS, &claim(name));
        assert_eq!(code, 201, "{made}");
        assert_eq!(
            made["metadata"]["finalizers"],
            json!(["kubernetes.io/pvc-protection"])
        );
    }
    let (code, made) = cluster.post(PODS, &pod("one", "worker", "used"));
    assert_eq!(code, 201, "{made}");
    // A pod without a node holds nothing: no kubelet starts it on a claim that is being deleted.
    let mut waiting = pod("two", "", "free");
    waiting["spec"].as_object_mut().unwrap().remove("nodeName");
    assert_eq!(cluster.post(PODS, &waiting).0, 201);
    for name in ["used", "free"] {
        let (code, answer) = cluster.delete(&format!("{CLAIMS}/{name}"), &Value::Null);
        assert_eq!(code, 200, "{answer}");
    }
    cluster.eventually("the free one goes", |cluster| {
        cluster.get(&format!("{CLAIMS}/free")).0 == 404
    });
    let (code, held) = cluster.get(&format!("{CLAIMS}/used"));
    assert_eq!(code, 200);
    assert!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
    let shown = cluster.kubectl(&["get", "pvc", "used"]).ok();
    assert!(shown.contains("Terminating"), "{shown}");
    assert_eq!(
        cluster
            .delete(&format!("{PODS}/one"), &json!({"gracePeriodSeconds": 0}))
            .0,
        200
    );
    cluster.eventually("the used one goes", |cluster| {
        cluster.get(&format!("{CLAIMS}/used")).0 == 404
    });
}

#[test]
fn a_volume_stays_while_it_is_bound() {
    let cluster = Cluster::start();
    let volume = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"},
            },
        })
    };
    for name in ["bound", "free"] {
        let (code, made) = cluster.post(VOLUMES, &volume(name));
        assert_eq!(code, 201, "{made}");
        assert_eq!(
            made["metadata"]["finalizers"],
            json!(["kubernetes.io/pv-protection"])
        );
    }
    let phase = |phase: &str| {
        let status = json!({"status": {"phase": phase}});
        let (code, answer) = cluster.patch(&format!("{VOLUMES}/bound/status"), "merge-patch+json", &status);
        assert_eq!(code, 200, "{answer}");
    };
    phase("Bound");
    for name in ["bound", "free"] {
        assert_eq!(cluster.delete(&format!("{VOLUMES}/{name}"), &Value::Null).0, 200);
    }
    cluster.eventually("the free one goes", |cluster| {
        cluster.get(&format!("{VOLUMES}/free")).0 == 404
    });
    assert_eq!(cluster.get(&format!("{VOLUMES}/bound")).0, 200);
    phase("Released");
    cluster.eventually("the other one goes", |cluster| {
        cluster.get(&format!("{VOLUMES}/bound")).0 == 404
    });
}
