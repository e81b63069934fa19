//! Namespaces and the garbage collector.

use keelson_control::controllers::api::{Patch, resources};
use serde_json::{Value, json};

use crate::hollow::{Cluster, deployment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_filled_and_emptied() {
    let cluster = Cluster::start(1).await;
    let (api, namespaces) = (&cluster.api, resources::namespaces());
    api.create(namespaces, "", json!({"metadata": {"name": "team"}}))
        .await
        .unwrap();
    cluster
        .wait_for(resources::service_accounts(), "team", "default", Value::is_object)
        .await;
    let authority = cluster
        .wait_for(
            resources::config_maps(),
            "team",
            "kube-root-ca.crt",
            Value::is_object,
        )
        .await;
    assert!(
        authority["data"]["ca.crt"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    api.create(resources::deployments(), "team", deployment("web", 2, "a:1"))
        .await
        .unwrap();
    cluster
        .wait_for(resources::deployments(), "team", "web", |object| {
            object["status"]["availableReplicas"] == 2
        })
        .await;
    api.create(
        resources::config_maps(),
        "team",
        json!({"metadata": {"name": "held", "finalizers": ["example.com/x"]}}),
    )
    .await
    .unwrap();
    api.delete(namespaces, "", "team", &json!({})).await.unwrap();
    let held = cluster
        .wait_for(namespaces, "", "team", |object| {
            let conditions = object["status"]["conditions"].as_array();
            conditions.is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|c| c["type"] == "NamespaceFinalizersRemaining" && c["status"] == "True")
            })
        })
        .await;
    assert_eq!(held["status"]["phase"], "Terminating");
    let release = json!({"metadata": {"finalizers": null}});
    api.patch(
        resources::config_maps(),
        "team",
        "held",
        "",
        Patch::Merge,
        &release,
    )
    .await
    .unwrap();
    cluster.wait_gone(namespaces, "", "team").await;
    assert!(cluster.list(resources::pods(), "team", "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_policies() {
    let cluster = Cluster::start(1).await;
    let (api, deployments) = (&cluster.api, resources::deployments());
    let (sets, pods) = (resources::replica_sets(), resources::pods());
    for (name, policy) in [("back", "Background"), ("fore", "Foreground"), ("keep", "Orphan")] {
        api.create(deployments, "default", deployment(name, 2, "a:1"))
            .await
            .unwrap();
        cluster
            .wait_for(deployments, "default", name, |object| {
                object["status"]["availableReplicas"] == 2
            })
            .await;
        let options = json!({"propagationPolicy": policy});
        api.delete(deployments, "default", name, &options).await.unwrap();
        cluster.wait_gone(deployments, "default", name).await;
        let query = format!("?labelSelector=app%3D{name}");
        if policy == "Orphan" {
            let left = cluster.list(sets, "default", &query).await;
            assert_eq!(left.len(), 1);
            assert!(
                left[0]["metadata"]["ownerReferences"]
                    .as_array()
                    .is_none_or(Vec::is_empty),
                "{left:#?}"
            );
            assert_eq!(cluster.list(pods, "default", &query).await.len(), 2);
            continue;
        }
        if policy == "Foreground" {
            assert!(
                cluster.list(sets, "default", &query).await.is_empty(),
                "the set goes before its owner"
            );
        }
        cluster
            .wait("pods to go", || async {
                cluster
                    .list(pods, "default", &query)
                    .await
                    .is_empty()
                    .then_some(())
            })
            .await;
        assert!(cluster.list(sets, "default", &query).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_never_was() {
    let cluster = Cluster::start(0).await;
    let (api, maps) = (&cluster.api, resources::config_maps());
    let owner =
        |name: &str, uid: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid});
    let real = api
        .create(maps, "default", json!({"metadata": {"name": "real"}}))
        .await
        .unwrap();
    let uid = real["metadata"]["uid"].as_str().unwrap();
    let ghost = owner("ghost", "00000000-0000-0000-0000-000000000000");
    let body = |name: &str, owners: Value| json!({"metadata": {"name": name, "ownerReferences": owners}});
    api.create(maps, "default", body("lost", json!([ghost])))
        .await
        .unwrap();
    api.create(maps, "default", body("half", json!([ghost, owner("real", uid)])))
        .await
        .unwrap();
    cluster.wait_gone(maps, "default", "lost").await;
    // Only a deletion shows that an owner that was looked for once is gone: half has a real one left.
    api.delete(maps, "default", "real", &json!({})).await.unwrap();
    cluster.wait_gone(maps, "default", "half").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregated_roles_are_filled() {
    let cluster = Cluster::start(0).await;
    let roles = resources::cluster_roles();
    let has_pods = |object: &Value| {
        let rules = object["rules"].as_array();
        rules.is_some_and(|rules| {
            rules
                .iter()
                .any(|rule| rule["resources"].to_string().contains("\"pods\""))
        })
    };
    cluster.wait_for(roles, "", "view", has_pods).await;
    let extra = json!({"metadata": {"name": "extra", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}]});
    cluster.api.create(roles, "", extra).await.unwrap();
    let has_things = |object: &Value| object["rules"].to_string().contains("things");
    cluster.wait_for(roles, "", "view", has_things).await;
    cluster.wait_for(roles, "", "admin", has_things).await;
}
