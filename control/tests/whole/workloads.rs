//! Deployments and ReplicaSets as a user sees them.

use keelson_control::controllers::api::{Patch, resources};
use serde_json::{Value, json};

use crate::hollow::{Cluster, deployment};

fn available(object: &Value) -> i64 {
    object["status"]["availableReplicas"].as_i64().unwrap_or(0)
}

fn complete(wanted: i64) -> impl Fn(&Value) -> bool {
    move |object| {
        let status = &object["status"];
        available(object) == wanted
            && status["updatedReplicas"].as_i64().unwrap_or(0) == wanted
            && status["replicas"].as_i64().unwrap_or(0) == wanted
            && status["observedGeneration"] == object["metadata"]["generation"]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roll_out_scale_and_undo() {
    let cluster = Cluster::start(2).await;
    let (api, deployments) = (&cluster.api, resources::deployments());
    api.create(deployments, "default", deployment("web", 3, "a:1"))
        .await
        .unwrap();
    let web = cluster.wait_for(deployments, "default", "web", complete(3)).await;
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    let sets = cluster.list(resources::replica_sets(), "default", "").await;
    let hash = sets[0]["metadata"]["labels"]["pod-template-hash"]
        .as_str()
        .unwrap();
    assert_eq!(sets[0]["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(
        sets[0]["spec"]["selector"]["matchLabels"]["pod-template-hash"],
        hash
    );

    let pods = cluster
        .list(resources::pods(), "default", "?labelSelector=app%3Dweb")
        .await;
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| {
        pod["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with(&format!("web-{hash}-"))
    }));

    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}});
    api.patch(deployments, "default", "web", "", Patch::Strategic, &image)
        .await
        .unwrap();
    let web = cluster.wait_for(deployments, "default", "web", complete(3)).await;
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    let old = cluster
        .get(resources::replica_sets(), "default", &format!("web-{hash}"))
        .await;
    assert_eq!(old["spec"]["replicas"], 0);

    let undo = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:1"}]}}}});
    api.patch(deployments, "default", "web", "", Patch::Strategic, &undo)
        .await
        .unwrap();
    let web = cluster.wait_for(deployments, "default", "web", complete(3)).await;
    assert_eq!(
        web["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    let again = cluster
        .get(resources::replica_sets(), "default", &format!("web-{hash}"))
        .await;
    assert_eq!(
        again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"],
        "1"
    );
    assert_eq!(
        cluster.list(resources::replica_sets(), "default", "").await.len(),
        2
    );

    let more = json!({"spec": {"replicas": 8}});
    api.patch(deployments, "default", "web", "", Patch::Merge, &more)
        .await
        .unwrap();
    cluster.wait_for(deployments, "default", "web", complete(8)).await;
    let none = json!({"spec": {"replicas": 0}});
    api.patch(deployments, "default", "web", "", Patch::Merge, &none)
        .await
        .unwrap();
    cluster.wait_for(deployments, "default", "web", complete(0)).await;
    let events = cluster.list(resources::events(), "default", "").await;
    let messages: Vec<_> = events
        .iter()
        .filter_map(|event| event["message"].as_str())
        .collect();
    assert!(
        messages.contains(&format!("Scaled up replica set web-{hash} from 0 to 3").as_str()),
        "{messages:#?}"
    );
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("Successfully assigned default/web-"))
    );
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("Created pod: web-"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_pod_is_replaced_and_orphans_are_adopted() {
    let cluster = Cluster::start(1).await;
    let (api, pods) = (&cluster.api, resources::pods());
    let orphan = json!({"metadata": {"name": "orphan", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "a:1"}]}});
    api.create(pods, "default", orphan).await.unwrap();
    let set = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}}});
    api.create(resources::replica_sets(), "default", set)
        .await
        .unwrap();
    let ready = |object: &Value| object["status"]["readyReplicas"] == 2;
    cluster
        .wait_for(resources::replica_sets(), "default", "web", ready)
        .await;
    let adopted = cluster.get(pods, "default", "orphan").await;
    assert_eq!(adopted["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(cluster.list(pods, "default", "").await.len(), 2);

    api.delete(pods, "default", "orphan", &json!({})).await.unwrap();
    cluster.wait_gone(pods, "default", "orphan").await;
    cluster
        .wait_for(resources::replica_sets(), "default", "web", ready)
        .await;

    let name = cluster.list(pods, "default", "").await[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let relabel = json!({"metadata": {"labels": {"app": "other"}}});
    api.patch(pods, "default", &name, "", Patch::Merge, &relabel)
        .await
        .unwrap();
    let released = cluster
        .wait_for(pods, "default", &name, |pod| {
            pod["metadata"]["ownerReferences"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .await;
    assert_eq!(released["metadata"]["labels"]["app"], "other");
    cluster
        .wait("a third pod", || async {
            (cluster.list(pods, "default", "").await.len() == 3).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replication_controllers_work_alike() {
    let cluster = Cluster::start(1).await;
    let controller = json!({"metadata": {"name": "old"}, "spec": {"replicas": 2, "selector": {"app": "old"},
        "template": {"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}}});
    let resource = resources::replication_controllers();
    cluster.api.create(resource, "default", controller).await.unwrap();
    cluster
        .wait_for(resource, "default", "old", |object| {
            object["status"]["readyReplicas"] == 2
        })
        .await;
    let pods = cluster.list(resources::pods(), "default", "").await;
    assert_eq!(
        pods[0]["metadata"]["ownerReferences"][0]["kind"],
        "ReplicationController"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_fit_nowhere_say_why_and_start_when_there_is_room() {
    let cluster = Cluster::start(1).await;
    let (api, pods) = (&cluster.api, resources::pods());
    let big = json!({"metadata": {"name": "big"}, "spec": {"containers": [
        {"name": "c", "image": "a:1", "resources": {"requests": {"cpu": "6"}}}]}});
    api.create(pods, "default", big).await.unwrap();
    // The first answers may be about a node that is not ready yet.
    let says_why = |pod: &Value| {
        let message = pod["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap_or_default();
        message.starts_with("0/1 nodes are available: 1 Insufficient cpu.")
    };
    let waiting = cluster.wait_for(pods, "default", "big", says_why).await;
    let condition = &waiting["status"]["conditions"][0];
    assert_eq!(
        (condition["type"].as_str(), condition["reason"].as_str()),
        (Some("PodScheduled"), Some("Unschedulable"))
    );
    cluster
        .add_node("large", |node| {
            node["status"]["allocatable"]["cpu"] = json!("16");
            node["status"]["capacity"]["cpu"] = json!("16");
        })
        .await;
    cluster
        .wait_for(pods, "default", "big", |pod| pod["spec"]["nodeName"] == "large")
        .await;
}
