//! A node's credentials in the wrong hands.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Caller, Cluster};

/// Its own pods and what they refer to; nothing of other nodes.
pub async fn node(cluster: &Cluster, admin: &Caller) {
    let (one, two) = (
        cluster.certificate("kubelet-n1").await,
        cluster.certificate("kubelet-n2").await,
    );
    for (caller, name) in [(&one, "n1"), (&two, "n2")] {
        let answer = caller
            .create("/api/v1/nodes", json!({"metadata": {"name": name}}))
            .await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    assert_eq!(one.get("/api/v1/nodes/n1").await.0, 200);
    assert_eq!(one.get("/api/v1/nodes/n2").await.0, 403);
    assert_eq!(one.get("/api/v1/nodes").await.0, 403);
    let status = json!({"status": {"nodeInfo": {"kubeletVersion": "x"}}});
    assert_eq!(
        one.ask(Method::PATCH, "/api/v1/nodes/n2/status", Some(status))
            .await
            .0,
        403
    );
    let taints = json!({"spec": {"taints": null}});
    assert_eq!(
        one.ask(Method::PATCH, "/api/v1/nodes/n1", Some(taints)).await.0,
        403
    );

    let secrets = "/api/v1/namespaces/tenant/secrets";
    for name in ["mine", "theirs"] {
        assert_eq!(
            admin.create(secrets, json!({"metadata": {"name": name}})).await.0,
            201
        );
    }
    cluster
        .eventually("provided with a service account", async || {
            admin
                .get("/api/v1/namespaces/tenant/serviceaccounts/default")
                .await
                .0
                == 200
        })
        .await;
    for (pod, node, secret) in [("p1", "n1", "mine"), ("p2", "n2", "theirs")] {
        let pod = json!({
            "metadata": {"name": pod},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "image": "busybox:1.36"}],
                "volumes": [{"name": "s", "secret": {"secretName": secret}}],
            },
        });
        let answer = admin.create("/api/v1/namespaces/tenant/pods", pod).await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    assert_eq!(one.get(&format!("{secrets}/mine")).await.0, 200);
    assert_eq!(one.get(&format!("{secrets}/theirs")).await.0, 403);
    assert_eq!(one.get(secrets).await.0, 403);
    assert_eq!(
        one.get(&format!("{secrets}?fieldSelector=metadata.name%3Dmine"))
            .await
            .0,
        200
    );
    assert_eq!(
        one.get(&format!("{secrets}?fieldSelector=metadata.name%3Dtheirs"))
            .await
            .0,
        403
    );
    assert_eq!(
        one.get("/api/v1/namespaces/tenant/configmaps/kube-root-ca.crt")
            .await
            .0,
        200
    );
    assert_eq!(one.get("/api/v1/pods").await.0, 403);
    assert_eq!(
        one.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2").await.0,
        403
    );
    let own = one.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await;
    assert_eq!(
        (own.0, own.1["items"].as_array().map(Vec::len)),
        (200, Some(1)),
        "{own:?}"
    );
    let theirs = "/api/v1/namespaces/tenant/pods/p2";
    let status = json!({"status": {"phase": "Failed"}});
    assert_eq!(
        one.ask(Method::PATCH, &format!("{theirs}/status"), Some(status.clone()))
            .await
            .0,
        403
    );
    assert_eq!(one.ask(Method::DELETE, theirs, None).await.0, 403);
    assert_eq!(
        one.ask(
            Method::PATCH,
            "/api/v1/namespaces/tenant/pods/p1/status",
            Some(status)
        )
        .await
        .0,
        200
    );

    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    assert_eq!(
        one.create(leases, json!({"metadata": {"name": "n1"}, "spec": {}}))
            .await
            .0,
        201
    );
    assert_eq!(
        one.create(leases, json!({"metadata": {"name": "n2"}, "spec": {}}))
            .await
            .0,
        403
    );

    let token = |bound: Value| {
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound},
        })
    };
    let uid = own.1["items"][0]["metadata"]["uid"].clone();
    let path = "/api/v1/namespaces/tenant/serviceaccounts/default/token";
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p1", "uid": uid});
    assert_eq!(one.create(path, token(bound)).await.0, 201);
    let others = admin.get(theirs).await.1["metadata"]["uid"].clone();
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p2", "uid": others});
    assert_eq!(one.create(path, token(bound)).await.0, 403);
    assert_eq!(
        one.create(path, token(Value::Null)).await.0,
        403,
        "a node's tokens are bound to its pods"
    );
}
