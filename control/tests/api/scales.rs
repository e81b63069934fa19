//! The scale subresource of each kind that has one.

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Should have a working scale subresource; and: should get and update a ReplicationController scale.
#[test]
fn scales_are_read_updated_and_patched() {
    let cluster = Cluster::start();
    let labels = json!({"app": "x"});
    let template =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (root, plural) in [
        ("/apis/apps/v1", "deployments"),
        ("/apis/apps/v1", "replicasets"),
        ("/apis/apps/v1", "statefulsets"),
        ("/api/v1", "replicationcontrollers"),
    ] {
        let selector = match plural {
            "replicationcontrollers" => labels.clone(),
            _ => json!({ "matchLabels": labels }),
        };
        let object = json!({"metadata": {"name": "s"},
            "spec": {"replicas": 1, "serviceName": "s", "selector": selector, "template": template}});
        let all = format!("{root}/namespaces/default/{plural}");
        let (code, made) = cluster.post(&all, &object);
        assert_eq!(code, 201, "{made}");
        let (one, path) = (format!("{all}/s"), format!("{all}/s/scale"));
        let replicas = |scale: &Value| scale["spec"]["replicas"].clone();
        let (code, mut scale) = cluster.get(&path);
        assert_eq!((code, &scale["kind"]), (200, &json!("Scale")), "{scale}");
        assert_eq!(
            (scale["apiVersion"].as_str(), replicas(&scale)),
            (Some("autoscaling/v1"), json!(1))
        );
        assert_eq!(scale["metadata"]["uid"], made["metadata"]["uid"]);
        assert_eq!(scale["status"]["selector"], "app=x");
        scale["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        scale["spec"]["replicas"] = 2.into();
        let (code, updated) = cluster.put(&path, &scale);
        assert_eq!((code, replicas(&updated)), (200, json!(2)), "{updated}");
        assert_eq!(replicas(&cluster.get(&one).1), json!(2));
        let patch = json!({"spec": {"replicas": 4}});
        let (code, patched) = cluster.patch(&path, "merge-patch+json", &patch);
        assert_eq!((code, replicas(&patched)), (200, json!(4)), "{patched}");
        assert_eq!(replicas(&cluster.get(&one).1), json!(4));
        // Whatever a strategic patch calls itself: Ansible's k8s_scale names the kind of what it scales.
        let named = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "s"},
            "spec": {"replicas": 4}});
        let (code, patched) = cluster.patch(&path, "strategic-merge-patch+json", &named);
        assert_eq!((code, &patched["kind"]), (200, &json!("Scale")), "{patched}");
        // Its controller follows.
        cluster.eventually("the status has so many", |cluster| {
            let status = cluster.get(&one).1["status"].clone();
            // A StatefulSet waits for its first pod, which nobody runs here.
            let wanted = if plural == "statefulsets" { 1 } else { 4 };
            status["replicas"] == wanted
        });
        let options = json!({"propagationPolicy": "Background"});
        assert_eq!(cluster.delete(&one, &options).0, 200);
        cluster.eventually("its pods are gone", |cluster| {
            cluster.get("/api/v1/namespaces/default/pods").1["items"] == json!([])
        });
    }
}
