//! Node taints, pod CIDRs, eviction.

use keelson_control::controllers::api::{Patch, resources};
use serde_json::{Value, json};

use crate::hollow::{Cluster, deployment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_gets_addresses_and_loses_its_first_taint() {
    let cluster = Cluster::start(2).await;
    let untainted = |node: &Value| node["spec"]["taints"].as_array().is_none_or(Vec::is_empty);
    let mut cidrs = Vec::new();
    for name in ["n0", "n1"] {
        let node = cluster
            .wait_for(resources::nodes(), "", name, |node| {
                untainted(node) && !node["spec"]["podCIDR"].is_null()
            })
            .await;
        assert_eq!(node["spec"]["podCIDRs"][0], node["spec"]["podCIDR"]);
        cidrs.push(node["spec"]["podCIDR"].as_str().unwrap().to_owned());
    }
    cidrs.sort();
    assert_eq!(cidrs, ["10.42.0.0/24", "10.42.1.0/24"]);

    let cordon = json!({"spec": {"unschedulable": true}});
    cluster
        .api
        .patch(resources::nodes(), "", "n0", "", Patch::Strategic, &cordon)
        .await
        .unwrap();
    cluster
        .wait_for(resources::nodes(), "", "n0", |node| {
            node["spec"]["taints"][0]["key"] == "node.kubernetes.io/unschedulable"
        })
        .await;
}

/// Conformance Tests should have at least two untainted nodes: that take pods.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_untainted_nodes_take_pods() {
    let cluster = Cluster::start(2).await;
    let takes = |node: &Value| {
        let ready = node["status"]["conditions"].as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True")
        });
        let untainted = node["spec"]["taints"].as_array().is_none_or(Vec::is_empty);
        ready && untainted && node["spec"]["unschedulable"] != true
    };
    for name in ["n0", "n1"] {
        cluster.wait_for(resources::nodes(), "", name, takes).await;
    }
    assert_eq!(cluster.list(resources::nodes(), "", "").await.len(), 2);
    cluster
        .api
        .create(resources::deployments(), "default", deployment("web", 4, "a:1"))
        .await
        .unwrap();
    for node in ["n0", "n1"] {
        let query = format!("?fieldSelector=spec.nodeName%3D{node}");
        let query = query.as_str();
        cluster
            .wait("pods on each", || async {
                let pods = cluster.list(resources::pods(), "default", query).await;
                (!pods.is_empty()).then_some(())
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_execute_taints_move_pods() {
    let cluster = Cluster::start(2).await;
    let api = &cluster.api;
    api.create(resources::deployments(), "default", deployment("web", 4, "a:1"))
        .await
        .unwrap();
    let all = |object: &Value| object["status"]["availableReplicas"] == 4;
    cluster
        .wait_for(resources::deployments(), "default", "web", all)
        .await;
    let on = |node: &'static str| {
        let cluster = &cluster;
        async move {
            cluster
                .list(
                    resources::pods(),
                    "default",
                    &format!("?fieldSelector=spec.nodeName%3D{node}"),
                )
                .await
        }
    };
    assert_eq!(
        (on("n0").await.len(), on("n1").await.len()),
        (2, 2),
        "replicas spread over nodes"
    );
    let taint = json!({"spec": {"taints": [{"key": "gone", "value": "x", "effect": "NoExecute"}]}});
    api.patch(resources::nodes(), "", "n0", "", Patch::Merge, &taint)
        .await
        .unwrap();
    cluster
        .wait("pods to move", || async {
            (on("n0").await.is_empty() && on("n1").await.len() == 4).then_some(())
        })
        .await;
    cluster
        .wait_for(resources::deployments(), "default", "web", all)
        .await;
}
