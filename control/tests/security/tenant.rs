//! A tenant who is admin of one namespace.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use crate::cluster::{Caller, Cluster, message};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Everything that the role gives in the namespace, and nothing beyond it.
pub async fn tenant(cluster: &Cluster, admin: &Caller) {
    let accounts = "/api/v1/namespaces/tenant/serviceaccounts";
    assert_eq!(
        admin
            .create(accounts, json!({"metadata": {"name": "robot"}}))
            .await
            .0,
        201
    );
    let answer = admin
        .create(&format!("{accounts}/robot/token"), json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600},
        }))
        .await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let token = answer.1["status"]["token"].as_str().unwrap();
    let robot = cluster.token(Some(token)).await;
    let whoami = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = robot
        .create("/apis/authentication.k8s.io/v1/selfsubjectreviews", whoami)
        .await;
    assert_eq!(
        answer.1["status"]["userInfo"]["username"], "system:serviceaccount:tenant:robot",
        "{answer:?}"
    );
    assert_eq!(robot.get("/api/v1/namespaces/tenant/pods").await.0, 403);

    // As admin of one namespace it may do what `admin` says, there.
    let binding = json!({
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "tenant"}],
    });
    let bindings = format!("{RBAC}/namespaces/tenant/rolebindings");
    assert_eq!(admin.create(&bindings, binding.clone()).await.0, 201);
    assert_eq!(robot.get("/api/v1/namespaces/tenant/secrets").await.0, 200);
    for path in [
        "/api/v1/namespaces/other/secrets",
        "/api/v1/secrets",
        "/api/v1/nodes",
        "/metrics",
    ] {
        assert_eq!(robot.get(path).await.0, 403, "{path}");
    }

    // Not more by roles and bindings.
    let mut cluster_admin = binding.clone();
    cluster_admin["metadata"]["name"] = "more".into();
    cluster_admin["roleRef"]["name"] = "cluster-admin".into();
    let answer = robot.create(&bindings, cluster_admin.clone()).await;
    assert_eq!(answer.0, 403);
    assert!(
        message(&answer).contains("is attempting to grant RBAC permissions not currently held"),
        "{answer:?}"
    );
    assert_eq!(
        robot
            .create(&format!("{RBAC}/clusterrolebindings"), cluster_admin)
            .await
            .0,
        403
    );
    assert_eq!(
        robot
            .create(&format!("{RBAC}/namespaces/other/rolebindings"), binding)
            .await
            .0,
        403
    );
    let role = |verb: &str| {
        json!({
            "metadata": {"name": "mine"},
            "rules": [{"verbs": [verb], "apiGroups": [""], "resources": ["nodes"]}],
        })
    };
    let roles = format!("{RBAC}/namespaces/tenant/roles");
    assert_eq!(robot.create(&roles, role("get")).await.0, 403);
    let harmless = json!({
        "metadata": {"name": "mine"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    });
    assert_eq!(robot.create(&roles, harmless).await.0, 201);
    let patch = json!({"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]});
    assert_eq!(
        robot
            .ask(Method::PATCH, &format!("{roles}/mine"), Some(patch))
            .await
            .0,
        403
    );

    // Not by impersonation.
    for headers in [
        &[("Impersonate-User", "kubernetes-admin")][..],
        &[("Impersonate-User", "system:serviceaccount:other:default")],
        &[
            ("Impersonate-User", "system:serviceaccount:tenant:default"),
            ("Impersonate-Group", "system:masters"),
        ],
    ] {
        let answer = robot.with(Method::GET, "/api/v1/nodes", None, headers).await;
        assert_eq!(answer.0, 403, "{headers:?}");
        assert!(message(&answer).contains("cannot impersonate"), "{answer:?}");
    }

    // Not by other people's tokens and pods.
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    for path in [
        "/api/v1/namespaces/kube-system/serviceaccounts/generic-garbage-collector/token",
        "/api/v1/namespaces/other/serviceaccounts/default/token",
        "/api/v1/namespaces/other/pods/x/exec",
        "/api/v1/namespaces/other/pods/x/eviction",
    ] {
        assert_eq!(robot.create(path, request.clone()).await.0, 403, "{path}");
    }
    assert_eq!(robot.get("/api/v1/nodes/n1/proxy/pods").await.0, 403);

    // A token in a secret is the account's too, and lives in the secret.
    let secret = json!({
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    });
    let answer = admin.create("/api/v1/namespaces/tenant/secrets", secret).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let decoded = STANDARD
        .decode(answer.1["data"]["token"].as_str().unwrap())
        .unwrap();
    let legacy = cluster.token(Some(std::str::from_utf8(&decoded).unwrap())).await;
    assert_eq!(legacy.get("/api/v1/namespaces/tenant/secrets").await.0, 200);
    assert_eq!(
        admin
            .ask(Method::DELETE, "/api/v1/namespaces/tenant/secrets/t", None)
            .await
            .0,
        200
    );
    assert_eq!(legacy.get("/api/v1/namespaces/tenant/secrets").await.0, 401);

    // The token ends with its account.
    assert_eq!(
        admin
            .ask(Method::DELETE, &format!("{accounts}/robot"), None)
            .await
            .0,
        200
    );
    assert_eq!(robot.get("/api/v1/namespaces/tenant/secrets").await.0, 401);
}
