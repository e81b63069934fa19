//! The right to a subresource is none to have the object collected, nor to move it to other services and controllers.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Caller, Cluster, message};
use crate::denials::grant;

const PODS: &str = "/api/v1/namespaces/other/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/other/deployments";

pub async fn subresources(cluster: &Cluster, admin: &Caller) {
    cluster
        .eventually("provided with a service account", async || {
            let account = "/api/v1/namespaces/other/serviceaccounts/default";
            admin.get(account).await.0 == 200
        })
        .await;
    let spec = json!({"nodeName": "n3", "containers": [{"name": "c", "image": "busybox:1.36"}]});
    let pod = json!({
        "metadata": {"name": "victim", "labels": {"app": "a"}, "finalizers": ["example.org/f"]}, "spec": spec,
    });
    let answer = admin.create(PODS, pod).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let deployment = json!({"metadata": {"name": "victim"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "b"}},
        "template": {"metadata": {"labels": {"app": "b"}}, "spec": {"containers": spec["containers"]}},
    }});
    let answer = admin.create(DEPLOYMENTS, deployment).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let resources = ["pods/ephemeralcontainers", "pods/resize", "deployments/status"];
    let rule = json!({"verbs": ["patch"], "apiGroups": ["", "apps"], "resources": resources});
    grant(admin, "helper", rule).await;
    let patch = async |path: &str, patch: Value| {
        let headers = [("Impersonate-User", "helper")];
        admin.with(Method::PATCH, path, Some(patch), &headers).await
    };
    let lost = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}]);

    let owners = json!({"metadata": {"ownerReferences": lost}});
    let answer = patch(&format!("{DEPLOYMENTS}/victim/status"), owners).await;
    assert_eq!(answer.0, 403, "{answer:?}");
    assert!(
        message(&answer).contains("cannot set an ownerRef on a resource you can't delete"),
        "{answer:?}"
    );
    let observed = json!({"status": {"observedGeneration": 1}});
    let answer = patch(&format!("{DEPLOYMENTS}/victim/status"), observed).await;
    assert_eq!(answer.0, 200, "what it may do goes on working: {answer:?}");

    let before = admin.get(&format!("{PODS}/victim")).await.1["metadata"].clone();
    for subresource in ["ephemeralcontainers", "resize"] {
        let answer = patch(
            &format!("{PODS}/victim/{subresource}"),
            json!({"metadata": {
                "ownerReferences": lost, "labels": {"app": "web"}, "finalizers": null, "annotations": {"a": "b"},
            }}),
        )
        .await;
        assert_eq!(answer.0, 200, "{subresource}: {answer:?}");
        let after = admin.get(&format!("{PODS}/victim")).await.1["metadata"].clone();
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            assert_eq!(after[field], before[field], "{subresource} {field}");
        }
    }
}
