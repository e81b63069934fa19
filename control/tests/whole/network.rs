//! Endpoints and EndpointSlices follow the pods.

use keelson_control::controllers::api::{Patch, resources};
use serde_json::json;

use crate::hollow::{Cluster, deployment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_follow_pods() {
    let cluster = Cluster::start(1).await;
    let api = &cluster.api;
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    api.create(resources::services(), "default", service)
        .await
        .unwrap();
    let query = "?labelSelector=kubernetes.io%2Fservice-name%3Dweb";
    let slices = || cluster.list(resources::endpoint_slices(), "default", query);
    let count = |wanted: usize| {
        let slices = &slices;
        move || async move {
            let slices = slices().await;
            let sum = slices
                .iter()
                .map(|slice| slice["endpoints"].as_array().map_or(0, Vec::len))
                .sum::<usize>();
            (slices.len() == 1 && sum == wanted).then_some(slices)
        }
    };
    cluster.wait("an empty slice", count(0)).await;
    api.create(resources::deployments(), "default", deployment("web", 3, "a:1"))
        .await
        .unwrap();
    cluster
        .wait_for(resources::endpoints(), "default", "web", |object| {
            object["subsets"][0]["addresses"]
                .as_array()
                .is_some_and(|list| list.len() == 3)
        })
        .await;
    let slices = cluster.wait("three endpoints", count(3)).await;
    assert_eq!(slices[0]["ports"][0]["port"], 8080);
    assert_eq!(slices[0]["endpoints"][0]["conditions"]["ready"], true);
    assert_eq!(slices[0]["endpoints"][0]["nodeName"], "n0");

    let one = json!({"spec": {"replicas": 1}});
    api.patch(resources::deployments(), "default", "web", "", Patch::Merge, &one)
        .await
        .unwrap();
    cluster.wait("one endpoint", count(1)).await;
    api.delete(resources::services(), "default", "web", &json!({}))
        .await
        .unwrap();
    cluster.wait_gone(resources::endpoints(), "default", "web").await;
    cluster
        .wait("no slices", || async {
            cluster
                .list(resources::endpoint_slices(), "default", query)
                .await
                .is_empty()
                .then_some(())
        })
        .await;
}

/// As upstream's controller does it: who deletes a Service means its Endpoints as well, whoever has made them. Those that have
/// no Service of their name are left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_made_by_hand_go_with_their_service_only() {
    let cluster = Cluster::start(0).await;
    let api = &cluster.api;
    for name in ["manual", "after"] {
        let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        api.create(resources::services(), "default", service)
            .await
            .unwrap();
    }
    let subsets = json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80, "protocol": "TCP"}]}]);
    for name in ["manual", "after", "alone"] {
        let endpoints = json!({"metadata": {"name": name}, "subsets": subsets});
        api.create(resources::endpoints(), "default", endpoints)
            .await
            .unwrap();
    }
    // The second one gives a mistake about the others time to show.
    for name in ["manual", "after"] {
        assert_eq!(
            cluster.get(resources::endpoints(), "default", name).await["subsets"],
            subsets
        );
        api.delete(resources::services(), "default", name, &json!({}))
            .await
            .unwrap();
        cluster.wait_gone(resources::endpoints(), "default", name).await;
    }
    let alone = cluster.get(resources::endpoints(), "default", "alone").await;
    assert_eq!(alone["subsets"], subsets);
}
