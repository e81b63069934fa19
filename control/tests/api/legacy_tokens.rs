//! Tokens in secrets: whether anybody still uses them is written down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::cluster::{Cluster, runtime};

const MAP: &str =
    "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";

fn since(cluster: &Cluster) -> Value {
    cluster.get(MAP).1["data"]["since"].clone()
}

#[test]
fn since_when_outlives_the_server() {
    let mut cluster = Cluster::start();
    let today = since(&cluster);
    assert_eq!(today.as_str().unwrap().len(), "2006-01-02".len());
    let long_ago = json!({"data": {"since": "2024-02-29"}});
    assert_eq!(cluster.patch(MAP, "merge-patch+json", &long_ago).0, 200);
    cluster.stop();
    cluster.resume();
    assert_eq!(since(&cluster), "2024-02-29");
    // What says nothing, or is gone, is made again.
    assert_eq!(cluster.delete(MAP, &json!({})).0, 200);
    cluster.eventually("the ConfigMap", |cluster| since(cluster).is_string());
    assert_ne!(since(&cluster), "2024-02-29");
    cluster.patch(MAP, "merge-patch+json", &json!({"data": {"since": "yesterday"}}));
    cluster.stop();
    cluster.resume();
    assert_ne!(since(&cluster), "yesterday");
}

/// Code and warnings of a GET with a token.
fn get(cluster: &Cluster, path: &str, token: &str) -> (u16, Vec<String>) {
    runtime().block_on(async {
        let mut config = kube::Config::new(format!("https://{}", cluster.config.listen).parse().unwrap());
        config.accept_invalid_certs = true;
        config.default_retry = false;
        let client = kube::Client::try_from(config).unwrap();
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(kube::client::Body::from(Vec::new())).unwrap();
        let response = client.send(request).await.unwrap();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
        (response.status().as_u16(), warnings)
    })
}

#[test]
fn the_day_of_the_last_use_is_on_the_secret() {
    let cluster = Cluster::start();
    let secret = json!({
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    });
    let (code, made) = cluster.post(SECRETS, &secret);
    assert_eq!(code, 201, "{made}");
    let token = STANDARD.decode(made["data"]["token"].as_str().unwrap()).unwrap();
    let token = String::from_utf8(token).unwrap();
    let one = format!("{SECRETS}/t");
    let used = |cluster: &Cluster| cluster.get(&one).1["metadata"]["labels"][LAST_USED].clone();
    assert_eq!(used(&cluster), Value::Null);
    // Reading is not allowed to the account, which is known all the same.
    assert_eq!(get(&cluster, SECRETS, &token), (403, Vec::new()));
    cluster.eventually("the day of the use", |cluster| used(cluster).is_string());
    let version = |cluster: &Cluster| cluster.get(&one).1["metadata"]["resourceVersion"].clone();
    let before = version(&cluster);
    assert_eq!(get(&cluster, SECRETS, &token).0, 403);
    assert_eq!(version(&cluster), before, "once a day");

    // One that the account lists was made for it.
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    let lists = json!({"secrets": [{"name": "t"}]});
    assert_eq!(cluster.patch(account, "merge-patch+json", &lists).0, 200);
    let namespaces = "/api/v1/namespaces";
    let viewer = json!({
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "default"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(cluster.post(bindings, &viewer).0, 201);
    let (code, warnings) = get(&cluster, namespaces, &token);
    assert_eq!(code, 200);
    assert!(
        warnings.len() == 1 && warnings[0].contains("Use tokens from the TokenRequest API"),
        "{warnings:?}"
    );

    let invalid = json!({"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}}});
    assert_eq!(cluster.patch(&one, "merge-patch+json", &invalid).0, 200);
    assert_eq!(get(&cluster, namespaces, &token).0, 401);
    let valid = json!({"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": null}}});
    assert_eq!(cluster.patch(&one, "merge-patch+json", &valid).0, 200);
    assert_eq!(get(&cluster, namespaces, &token).0, 200);
}
