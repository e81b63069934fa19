//! Pods that ask for a RuntimeClass: refused where there is none, else completed and scheduled.

use keelson_control::controllers::api::{Resource, resources};
use serde_json::{Value, json};

use crate::hollow::Cluster;

fn classes() -> Resource {
    Resource {
        group: "node.k8s.io".to_owned(),
        version: "v1".to_owned(),
        plural: "runtimeclasses".to_owned(),
        kind: "RuntimeClass".to_owned(),
        namespaced: false,
    }
}

fn pod(name: &str, class: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"runtimeClassName": class, "containers": [{"name": "c", "image": "i"}]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_scheduled_with_a_runtime_class_or_refused() {
    let cluster = Cluster::start(1).await;
    let api = &cluster.api;
    let overhead = json!({"cpu": "10m", "memory": "1Mi"});
    for (name, fields) in [
        ("plain", json!({"handler": "h"})),
        (
            "heavy",
            json!({"handler": "h", "overhead": {"podFixed": overhead}}),
        ),
    ] {
        let mut class = fields;
        class["metadata"] = json!({"name": name});
        api.create(&classes(), "", class).await.unwrap();
        let made = api
            .create(resources::pods(), "default", pod(name, name))
            .await
            .unwrap();
        let wanted = if name == "heavy" { &overhead } else { &Value::Null };
        assert_eq!(&made["spec"]["overhead"], wanted, "{made}");
        cluster
            .wait_for(resources::pods(), "default", name, |pod| {
                pod["spec"]["nodeName"] == "n0"
            })
            .await;
    }
    // A class that is gone, and one that never was.
    assert!(api.delete(&classes(), "", "plain", &json!({})).await.unwrap());
    for class in ["plain", "none"] {
        let refused = api
            .create(resources::pods(), "default", pod("refused", class))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(403));
        let why = format!("pod rejected: RuntimeClass \"{class}\" not found");
        assert!(refused.message().ends_with(&why), "{refused:?}");
    }
}
