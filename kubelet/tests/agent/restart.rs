//! Kubelets that die, and API servers that go away.

use std::time::Duration;

use keelson_runtime::node::Phase;
use serde_json::{Value, json};

use crate::api::PODS;
use crate::lifecycle::{container, phase};
use crate::node::Node;

fn ended(pod: Option<&Value>) -> bool {
    pod.is_some_and(|p| !container(p)["state"]["terminated"].is_null())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_agent_adopts_what_runs_and_reports_what_ended() {
    let mut node = Node::start().await;
    node.run("stays", "Always", "sleep 1000", json!({}));
    node.run("ends", "Never", "sleep 1.5; exit 7", json!({}));
    let before = node.api.until("stays", |p| phase(p) == "Running").await.unwrap();
    node.api.until("ends", |p| phase(p) == "Running").await;
    node.kill_agent();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!ended(node.api.get(PODS, "ends").as_ref()));
    node.start_agent();
    let gone = node.api.until("ends", ended).await.unwrap();
    assert_eq!(container(&gone)["state"]["terminated"]["exitCode"], 7);
    let after = node.api.get(PODS, "stays").unwrap();
    assert_eq!(
        container(&after)["containerID"],
        container(&before)["containerID"]
    );
    assert_eq!(container(&after)["restartCount"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_deleted_meanwhile_are_removed_after_the_first_list() {
    let mut node = Node::start().await;
    let pod = node.run("p", "Always", "sleep 1000", json!({}));
    node.api.until("p", |p| phase(p) == "Running").await;
    node.kill_agent();
    node.api.remove(PODS, "p");
    node.api.go_away().await;
    node.start_agent();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        node.runtime().sandboxes().unwrap().len(),
        1,
        "nothing is an orphan before the API has said so"
    );
    node.api.come_back().await;
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    for _ in 0..100 {
        if node.runtime().sandboxes().unwrap().is_empty() && !node.path("kubelet/pods").join(uid).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the orphan is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_restarted_while_the_api_is_away() {
    let mut node = Node::start().await;
    node.run("p", "Always", "sleep 1.5; exit 5", json!({}));
    node.api.until("p", |p| phase(p) == "Running").await;
    node.kill_agent();
    node.api.go_away().await;
    node.start_agent();
    let runtime = node.runtime();
    let restarted = || {
        runtime
            .containers()
            .unwrap()
            .iter()
            .any(|c| c.spec.attempt > 0 && c.phase == Phase::Running)
    };
    let mut seen = false;
    for _ in 0..100 {
        seen = restarted();
        if seen {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen, "nobody restarted the container");
    node.api.come_back().await;
    let pod = node
        .api
        .until("p", |p| p.is_some_and(|p| container(p)["restartCount"] == 1))
        .await
        .unwrap();
    assert_eq!(container(&pod)["lastState"]["terminated"]["exitCode"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_could_not_be_reported_is_reported_later() {
    let node = Node::start().await;
    node.run("p", "Never", "sleep 0.7; exit 9", json!({}));
    node.api.until("p", |p| phase(p) == "Running").await;
    node.api.go_away().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.api.come_back().await;
    let pod = node.api.until("p", ended).await.unwrap();
    assert_eq!(container(&pod)["state"]["terminated"]["exitCode"], 9);
}
