//! A node's credentials in the wrong hands.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Caller, Cluster, message};

/// A mirror pod names no secret, and cannot stop being one.
async fn mirror_pods(one: &Caller, admin: &Caller) {
    let pods = "/api/v1/namespaces/tenant/pods";
    let node = admin.get("/api/v1/nodes/n1").await.1;
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": node["metadata"]["uid"],
        "controller": true});
    let pod = |name: &str| {
        json!({
            "metadata": {"name": name, "annotations": {"kubernetes.io/config.mirror": "h"},
                "ownerReferences": [owner]},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "busybox:1.36"}]},
        })
    };
    let mut greedy = pod("greedy");
    greedy["spec"]["volumes"] = json!([{
        "name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "theirs"}},
    }]);
    let answer = one.create(pods, greedy.clone()).await;
    assert_eq!(answer.0, 403, "{answer:?}");
    let answer = one.create(pods, pod("honest")).await;
    assert_eq!(answer.0, 201, "{answer:?}");

    // Even one that an administrator has let through stays what it is.
    let answer = admin.create(pods, greedy).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    for (caller, path) in [
        (one, "greedy/status"),
        (admin, "greedy"),
        (admin, "greedy/status"),
    ] {
        for value in [Value::Null, "x".into()] {
            let strip = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": value}}});
            let answer = caller
                .ask(Method::PATCH, &format!("{pods}/{path}"), Some(strip))
                .await;
            assert_eq!(answer.0, 422, "{path} {answer:?}");
            assert!(message(&answer).contains(
                "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation"
            ));
        }
    }
    let secret = one.get("/api/v1/namespaces/tenant/secrets/theirs").await;
    assert_eq!(secret.0, 403);
    let add = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "h"}}});
    let answer = one
        .ask(Method::PATCH, &format!("{pods}/p1/status"), Some(add))
        .await;
    assert_eq!(answer.0, 422, "{answer:?}");
    for name in ["honest", "greedy"] {
        let path = format!("{pods}/{name}?gracePeriodSeconds=0");
        assert_eq!(admin.ask(Method::DELETE, &path, None).await.0, 200);
    }
}

/// A pod that runs without being ready is in a budget's way only if the budget says so.
async fn evictions(one: &Caller, two: &Caller, admin: &Caller) {
    let (pods, budgets) = (
        "/api/v1/namespaces/tenant/pods",
        "/apis/policy/v1/namespaces/tenant/poddisruptionbudgets",
    );
    let labels = json!({"app": "sick"});
    let budget = json!({
        "metadata": {"name": "sick"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    });
    let answer = admin.create(budgets, budget).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let pod = json!({
        "metadata": {"name": "sick", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "busybox:1.36"}]},
    });
    let answer = admin.create(pods, pod).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let running =
        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}});
    let answer = one
        .ask(Method::PATCH, &format!("{pods}/sick/status"), Some(running))
        .await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let evict = async |caller: &Caller, uid: Option<&str>| {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "sick"},
            "deleteOptions": {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}},
        });
        caller.create(&format!("{pods}/sick/eviction"), eviction).await
    };
    assert_eq!(evict(admin, None).await.0, 429);
    assert_eq!(evict(two, None).await.0, 403, "before the budget is asked");
    assert_eq!(evict(admin, Some("other")).await.0, 409);
    let always = json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    let answer = admin
        .ask(Method::PATCH, &format!("{budgets}/sick"), Some(always))
        .await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let answer = evict(admin, None).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    assert_eq!(admin.get(&format!("{pods}/sick")).await.0, 404);
    assert_eq!(
        admin
            .ask(Method::DELETE, &format!("{budgets}/sick"), None)
            .await
            .0,
        200
    );
}

/// A node that has the API server dial itself, or an address that only the API server's machine reaches, gets nothing
/// by it; and what the API server shows to kubelets is no administrator's certificate.
async fn reflections(cluster: &Cluster, one: &Caller, admin: &Caller) {
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": cluster.address.port()}},
    }});
    let path = "/api/v1/nodes/n1/status";
    let answer = one.ask(Method::PATCH, path, Some(status)).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let answer = admin.get("/api/v1/nodes/n1/proxy/api/v1/secrets").await;
    assert_eq!((answer.0, message(&answer)), (400, "address not allowed"));
    let shown = cluster.certificate("apiserver-kubelet-client").await;
    for path in ["/api/v1/secrets", "/api/v1/namespaces/tenant/pods", "/metrics"] {
        assert_eq!(shown.get(path).await.0, 403, "{path}");
    }
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": "kube-apiserver-kubelet-client",
            "resourceAttributes": {"verb": "create", "resource": "nodes", "subresource": "proxy", "name": "n1"},
        },
    });
    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let answer = one.create(reviews, review).await;
    assert_eq!(answer.1["status"]["allowed"], true, "as kubelets ask: {answer:?}");
}

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

    reflections(cluster, &one, admin).await;
    mirror_pods(&one, admin).await;
    evictions(&one, &two, admin).await;

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
    assert_eq!(one.create(path, token(bound.clone())).await.0, 201);
    let mut vault = token(bound);
    vault["spec"]["audiences"] = json!(["vault"]);
    let answer = one.create(path, vault).await;
    assert_eq!(answer.0, 403, "{answer:?}");
    assert!(message(&answer).contains("audience \"vault\" not found in pod spec volume"));
    let others = admin.get(theirs).await.1["metadata"]["uid"].clone();
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p2", "uid": others});
    assert_eq!(one.create(path, token(bound)).await.0, 403);
    assert_eq!(
        one.create(path, token(Value::Null)).await.0,
        403,
        "a node's tokens are bound to its pods"
    );
}
