//! A snapshot holds every Secret: who may not read everything gets none, whatever paths are open to them.

use http::Method;
use serde_json::json;

use crate::cluster::{Caller, Cluster, message};

const PATH: &str = "/keelson/v1/snapshot";

pub async fn snapshots(cluster: &Cluster, admin: &Caller) {
    let node = cluster.certificate("kubelet-n1").await.get(PATH).await;
    assert_eq!(node.0, 403, "{node:?}");
    let anonymous = cluster.token(None).await.get(PATH).await;
    assert_eq!(anonymous.0, 403, "{anonymous:?}");
    role(
        admin,
        "all-paths",
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    )
    .await;
    role(
        admin,
        "all-objects",
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]}),
    )
    .await;
    role(
        admin,
        "all-secrets",
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}),
    )
    .await;
    bind(admin, "monitor", &["all-paths"]).await;
    bind(admin, "reader", &["all-objects"]).await;
    bind(admin, "keeper", &["all-paths", "all-secrets"]).await;
    bind(admin, "backup", &["all-paths", "all-objects"]).await;
    let ask = async |user: &str, path: &str| {
        let headers = [("impersonate-user", user)];
        admin.with(Method::GET, path, None, &headers).await
    };
    assert_eq!(ask("monitor", "/metrics").await.0, 200, "the path is open to it");
    for user in ["monitor", "reader", "keeper", "stranger"] {
        let answer = ask(user, PATH).await;
        assert_eq!(answer.0, 403, "{user}: {answer:?}");
        assert!(
            message(&answer).contains(&format!("User \"{user}\" cannot get")),
            "{answer:?}"
        );
    }
    for user in ["backup", "kubernetes-admin"] {
        let mut answer = (429, serde_json::Value::Null);
        // There is one at a time, and the one before ends a moment after its last byte has come.
        while answer.0 == 429 {
            answer = if user == "backup" {
                ask(user, PATH).await
            } else {
                admin.get(PATH).await
            };
        }
        assert_eq!(answer.0, 200);
        assert!(
            answer
                .1
                .as_str()
                .is_some_and(|text| text.starts_with("KLSNAP\r\n"))
        );
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(admin.ask(method, PATH, None).await.0, 404);
    }
}

async fn role(admin: &Caller, name: &str, rule: serde_json::Value) {
    let role = json!({"metadata": {"name": name}, "rules": [rule]});
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let answer = admin.create(path, role).await;
    assert_eq!(answer.0, 201, "{answer:?}");
}

async fn bind(admin: &Caller, user: &str, roles: &[&str]) {
    for role in roles {
        let binding = json!({
            "metadata": {"name": format!("{user}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        let answer = admin.create(path, binding).await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
}
