//! What must go on working under all these rules.

use serde_json::json;

use crate::cluster::{Caller, Cluster, message};

/// Created all at once, no two Services share an address or a port.
pub async fn services(admin: &Caller) {
    let make = |number: usize| async move {
        let service = json!({
            "metadata": {"name": format!("s{number}")},
            "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "x"}},
        });
        admin.create("/api/v1/namespaces/tenant/services", service).await
    };
    let made = futures::future::join_all((0..60).map(make)).await;
    let mut seen = std::collections::BTreeSet::new();
    for answer in &made {
        assert_eq!(answer.0, 201, "{answer:?}");
        let spec = &answer.1["spec"];
        assert!(
            seen.insert(spec["clusterIP"].to_string())
                && seen.insert(spec["ports"][0]["nodePort"].to_string())
        );
    }
    let taken = json!({
        "metadata": {"name": "dns"}, "spec": {"clusterIP": "10.43.0.10", "ports": [{"port": 53}]},
    });
    let answer = admin.create("/api/v1/namespaces/tenant/services", taken).await;
    assert_eq!(answer.0, 422);
    assert!(
        message(&answer).contains("provided IP is already allocated"),
        "{answer:?}"
    );
}

/// The controllers' and the scheduler's default roles are enough for their work.
pub async fn workloads(cluster: &Cluster, admin: &Caller) {
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]},
            },
        },
    });
    let answer = admin
        .create("/apis/apps/v1/namespaces/tenant/deployments", deployment)
        .await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let pods = "/api/v1/namespaces/tenant/pods?labelSelector=app%3Dweb";
    cluster
        .eventually("running two pods", async || {
            let list = admin.get(pods).await.1;
            let pods = list["items"].as_array().cloned().unwrap_or_default();
            pods.len() == 2
                && pods
                    .iter()
                    .all(|pod| pod["spec"]["volumes"][0]["projected"].is_object())
        })
        .await;
    let status = "/apis/apps/v1/namespaces/tenant/deployments/web";
    cluster
        .eventually("counted", async || {
            admin.get(status).await.1["status"]["replicas"] == 2
        })
        .await;
}
