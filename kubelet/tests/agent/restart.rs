//! Kubelets that die, and API servers that go away.

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use keelson_runtime::node::Phase;
use keelson_runtime::sys;
use serde_json::{Value, json};

use crate::api::PODS;
use crate::lifecycle::{container, events, phase};
use crate::node::Node;

fn ended(pod: Option<&Value>) -> bool {
    pod.is_some_and(|p| !container(p)["state"]["terminated"].is_null())
}

/// Runs a pod that ends with an exit code when [`end`] says so, not by a clock that a busy machine overtakes.
fn run_until_told(node: &Node, name: &str, policy: &str, code: u8) {
    let more = json!({
        "volumes": [{"name": "h", "hostPath": {"path": node.path("told"), "type": "DirectoryOrCreate"}}],
        "container": {"volumeMounts": [{"name": "h", "mountPath": "/h"}]}});
    let script = format!("until rm /h/{name} 2>/dev/null; do sleep 0.05; done; exit {code}");
    node.run(name, policy, &script, more);
}

/// Tells the container of [`run_until_told`] to end, and waits until it has.
async fn end(node: &Node, name: &str) {
    let file = node.path("told").join(name);
    fs::write(&file, "").unwrap();
    until("the container is told", || !file.exists()).await;
}

/// Waits until something is so; the test ends after 20 seconds.
pub async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..200 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not yet: {what}");
}

fn running(node: &Node) -> usize {
    let containers = node.runtime().containers().unwrap();
    containers.iter().filter(|c| c.phase == Phase::Running).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_agent_adopts_what_runs_and_reports_what_ended() {
    let mut node = Node::start().await;
    node.run("stays", "Always", "sleep 1000", json!({}));
    run_until_told(&node, "ends", "Never", 7);
    let before = node.api.until("stays", |p| phase(p) == "Running").await.unwrap();
    node.api.until("ends", |p| phase(p) == "Running").await;
    node.kill_agent();
    end(&node, "ends").await;
    until("one is left", || running(&node) == 1).await;
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
async fn the_lease_does_not_wait_for_the_status() {
    let mut node = Node::start().await;
    until("the node has a lease", || node.api.get("leases", "n").is_some()).await;
    node.kill_agent();
    node.api.remove("leases", "n");
    node.api.keep_silent_about(&["/nodes/n/status", "/leases/n"]);
    node.start_agent();
    until("both are sent", || node.api.kept_silent() == 2).await;
    node.api.keep_silent_about(&["/nodes/n/status"]);
    until("the node has a lease again", || {
        node.api.get("leases", "n").is_some()
    })
    .await;
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
    let directory = node.path("kubelet/pods").join(uid);
    until("the orphan is gone", || {
        node.runtime().sandboxes().unwrap().is_empty() && !directory.exists()
    })
    .await;
}

fn kill_shim(node: &Node, pod: &Value) {
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let lock = fs::File::open(node.path("run/pods").join(uid).join("shim.lock")).unwrap();
    let shim = sys::lock_holder(lock.as_fd()).unwrap().unwrap();
    sys::kill_pid(shim, 9).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_whose_shim_died_begins_again_in_a_new_sandbox() {
    let node = Node::start().await;
    let image = format!("oci-bundle://{}", node.path("bundle").display());
    let mounts = json!([{"name": "e", "mountPath": "/e"}]);
    let more = json!({
        "volumes": [{"name": "e", "emptyDir": {}}],
        "initContainers": [{"name": "i", "image": image, "volumeMounts": mounts,
            "command": ["/bin/sh", "-c", "echo i >> /e/log"]}],
        "container": {"volumeMounts": mounts}});
    let pod = node.run("p", "Always", "cat /e/log; sleep 1000", more);
    node.api.until("p", |p| phase(p) == "Running").await;
    kill_shim(&node, &pod);
    let again = |p: Option<&Value>| {
        p.is_some_and(|p| container(p)["restartCount"] == 1 && container(p)["ready"] == true)
    };
    let pod = node.api.until("p", again).await.unwrap();
    let last = &container(&pod)["lastState"]["terminated"];
    assert_eq!(last["reason"], "ContainerStatusUnknown", "{pod}");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["restartCount"], 1);
    until("its output is there", || node.log(&pod, 1) == "i\ni\n").await;
    assert_eq!(events(&node, "SandboxChanged").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_died_while_nothing_ran_in_it_is_replaced_when_it_is_needed() {
    let node = Node::start().await;
    let from = json!({"configMapKeyRef": {"name": "m", "key": "k"}});
    let more = json!({"container": {"env": [{"name": "K", "valueFrom": from}]}});
    let pod = node.run("p", "Always", "sleep 1000", more);
    let waits = |p: Option<&Value>| {
        p.is_some_and(|p| container(p)["state"]["waiting"]["reason"] == "CreateContainerConfigError")
    };
    node.api.until("p", waits).await;
    kill_shim(&node, &pod);
    let map = json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": "v"}});
    node.api.put("configmaps", map);
    node.api.until("p", |p| phase(p) == "Running").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_restarted_while_the_api_is_away() {
    let mut node = Node::start().await;
    run_until_told(&node, "p", "Always", 5);
    node.api.until("p", |p| phase(p) == "Running").await;
    node.kill_agent();
    node.api.go_away().await;
    node.start_agent();
    let runtime = node.runtime();
    end(&node, "p").await;
    let restarted = || {
        let containers = runtime.containers().unwrap();
        containers
            .iter()
            .any(|c| c.spec.attempt > 0 && c.phase == Phase::Running)
    };
    until("somebody restarted the container", restarted).await;
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
    run_until_told(&node, "p", "Never", 9);
    node.api.until("p", |p| phase(p) == "Running").await;
    node.api.go_away().await;
    end(&node, "p").await;
    until("it has ended", || running(&node) == 0).await;
    node.api.come_back().await;
    let pod = node.api.until("p", ended).await.unwrap();
    assert_eq!(container(&pod)["state"]["terminated"]["exitCode"], 9);
}
