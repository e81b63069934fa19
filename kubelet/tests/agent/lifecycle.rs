//! Pods from their creation to their removal.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::PODS;
use crate::node::Node;
use crate::restart::until;

pub fn phase(pod: Option<&Value>) -> &str {
    pod.and_then(|p| p["status"]["phase"].as_str())
        .unwrap_or_default()
}

pub fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

pub fn events(node: &Node, reason: &str) -> Vec<Value> {
    node.api
        .list("events")
        .into_iter()
        .filter(|e| e["reason"] == reason)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_registers_and_becomes_ready() {
    let node = Node::start().await;
    node.run("p", "Always", "sleep 1000", json!({}));
    node.api.until("p", |p| phase(p) == "Running").await;
    let object = node.api.get("nodes", "n").unwrap();
    let ready = object["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Ready")
        .unwrap();
    assert_eq!(ready["status"], "True");
    assert_eq!(object["metadata"]["labels"]["kubernetes.io/os"], "linux");
    assert!(
        object["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert_eq!(
        node.api.get("leases", "n").unwrap()["spec"]["holderIdentity"],
        "n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_with_its_codes_and_messages() {
    let node = Node::start().await;
    let script = "echo out; echo because > /dev/termination-log; exit 3";
    node.run("p", "Never", script, json!({}));
    let pod = node.api.until("p", |p| phase(p) == "Failed").await.unwrap();
    let ended = &container(&pod)["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"], &ended["message"]),
        (&json!(3), &json!("Error"), &json!("because\n"))
    );
    assert_eq!(node.log(&pod, 0), "out\n");
    assert_eq!(
        container(&pod)["containerID"].as_str().unwrap().len(),
        "keelson://".len() + 64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_container_is_restarted_once_and_then_backs_off() {
    let node = Node::start().await;
    node.run("p", "Always", "exit 4", json!({}));
    let waits = |p: Option<&Value>| {
        p.is_some_and(|p| container(p)["state"]["waiting"]["reason"] == "CrashLoopBackOff")
    };
    let pod = node.api.until("p", waits).await.unwrap();
    assert_eq!(phase(Some(&pod)), "Running");
    assert_eq!(container(&pod)["restartCount"], 1);
    assert_eq!(container(&pod)["lastState"]["terminated"]["exitCode"], 4);
    let message = container(&pod)["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("back-off 10s restarting failed container=c pod=p_default("),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_is_graceful_and_leaves_nothing() {
    let node = Node::start().await;
    let host = node.path("host");
    let more = json!({
        "volumes": [{"name": "h", "hostPath": {"path": host, "type": "DirectoryOrCreate"}},
            {"name": "m", "emptyDir": {"medium": "Memory"}}],
        "container": {
            "volumeMounts": [{"name": "h", "mountPath": "/h"}, {"name": "m", "mountPath": "/m"}],
            "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo pre >> /h/log"]}},
                "postStart": {"exec": {"command": ["/bin/sh", "-c", "echo post >> /h/log"]}}}}});
    let script = "trap 'echo term >> /h/log; exit 0' TERM; while true; do sleep 0.05; done";
    let pod = node.run("p", "Always", script, more);
    node.api
        .until("p", |p| p.is_some_and(|p| container(p)["ready"] == true))
        .await;
    node.api.delete_gracefully("p", 10);
    node.api.until("p", |p| p.is_none()).await;
    assert_eq!(fs::read_to_string(host.join("log")).unwrap(), "post\npre\nterm\n");
    assert!(node.runtime().sandboxes().unwrap().is_empty());
    assert!(
        !node
            .path("kubelet/pods")
            .join(pod["metadata"]["uid"].as_str().unwrap())
            .exists()
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains("kubernetes.io~empty-dir/m")
            || !mounts.contains(node.path("kubelet").to_str().unwrap())
    );
    assert_eq!(events(&node, "Killing").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_ignores_its_signal_is_killed_in_time() {
    let node = Node::start().await;
    node.run(
        "p",
        "Always",
        "trap '' TERM; while true; do sleep 0.05; done",
        json!({}),
    );
    node.api.until("p", |p| phase(p) == "Running").await;
    let begun = std::time::Instant::now();
    node.api.delete_gracefully("p", 1);
    node.api.until("p", |p| p.is_none()).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_that_failed_is_repeated() {
    let node = Node::start().await;
    let script = "trap '' TERM; while true; do sleep 0.05; done";
    node.run("p", "Always", script, json!({}));
    let pod = node.api.until("p", |p| phase(p) == "Running").await.unwrap();
    let id = container(&pod)["containerID"].as_str().unwrap();
    let id = id.strip_prefix("keelson://").unwrap();
    let record = node.path("runtime/containers").join(id).join("container.json");
    let whole = fs::read(&record).unwrap();
    fs::write(&record, "{").unwrap();
    node.api.delete_gracefully("p", 1);
    until("a kill has failed", || !events(&node, "FailedKillPod").is_empty()).await;
    fs::write(&record, whole).unwrap();
    node.api.until("p", |p| p.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_config_map_is_waited_for_and_a_changed_one_shows() {
    let node = Node::start().await;
    let more = json!({
        "volumes": [{"name": "v", "configMap": {"name": "m"}}],
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]}});
    let script = "echo $K; while test \"$(cat /v/k)\" != two; do sleep 0.05; done; exit 0";
    node.run("p", "Never", script, more);
    node.api.until("p", |p| phase(p) == "Pending").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let map = |value: &str| json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": value}});
    node.api.put("configmaps", map("one"));
    node.api.until("p", |p| phase(p) == "Running").await;
    node.api.put("configmaps", map("two"));
    let pod = node.api.until("p", |p| phase(p) == "Succeeded").await.unwrap();
    assert_eq!(node.log(&pod, 0), "one\n");
    let failed = events(&node, "FailedMount");
    assert_eq!(
        failed[0]["message"],
        "MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found"
    );
}

/// A pod's mounting waits for a Secret when the ConfigMap that it has read already is changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_changes_while_volumes_are_mounted_shows() {
    let node = Node::start().await;
    let map = |value: &str| json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": value}});
    node.api.put("configmaps", map("one"));
    let script = "while test \"$(cat /v/k)\" != two; do sleep 0.05; done; exit 0";
    let volumes = [
        json!({"name": "v", "configMap": {"name": "m"}}),
        json!({"name": "s", "secret": {"secretName": "s"}}),
    ];
    let mounts = ["v", "s"].map(|name| json!({"name": name, "mountPath": format!("/{name}")}));
    let with =
        |count: usize| json!({"volumes": volumes[..count], "container": {"volumeMounts": mounts[..count]}});
    node.run("early", "Never", script, with(1));
    node.api.until("early", |p| phase(p) == "Running").await;
    let secret = json!({"metadata": {"name": "s", "namespace": "default"}, "data": {"k": "czM="}});
    node.api.put("secrets", secret);
    node.api.keep_silent_about(&["/secrets"]);
    let pod = node.run("p", "Never", script, with(2));
    let directory = node
        .path("kubelet/pods")
        .join(pod["metadata"]["uid"].as_str().unwrap());
    let file = directory.join("volumes/kubernetes.io~configmap/v/k");
    until("the old content is there", || file.exists()).await;
    node.api.put("configmaps", map("two"));
    // By then both pods have been told.
    node.api.until("early", |p| phase(p) == "Succeeded").await;
    node.api.keep_silent_about(&[]);
    node.api.until("p", |p| phase(p) == "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_volumes_of_an_ended_pod_are_not_made_again() {
    let node = Node::start().await;
    let map = |value: &str| json!({"metadata": {"name": "m", "namespace": "default"}, "data": {"k": value}});
    node.api.put("configmaps", map("one"));
    let more = json!({
        "volumes": [{"name": "v", "configMap": {"name": "m"}}],
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}});
    let script = "while test \"$(cat /v/k)\" != two; do sleep 0.05; done; exit 0";
    node.run("witness", "Never", script, more.clone());
    let pod = node.run("p", "Never", "exit 0", more);
    let directory = node
        .path("kubelet/pods")
        .join(pod["metadata"]["uid"].as_str().unwrap());
    let volume = directory.join("volumes/kubernetes.io~configmap/v");
    node.api.until("p", |p| phase(p) == "Succeeded").await;
    until("its volume is removed", || !volume.exists()).await;
    node.api.until("witness", |p| phase(p) == "Running").await;
    node.api.put("configmaps", map("two"));
    node.api.until("witness", |p| phase(p) == "Succeeded").await;
    assert!(!volume.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liveness_restarts_and_readiness_shows() {
    let node = Node::start().await;
    let probe = |command: &str| json!({"exec": {"command": ["/bin/sh", "-c", command]}, "periodSeconds": 1, "failureThreshold": 1});
    let more = json!({"terminationGracePeriodSeconds": 1, "container": {
        "livenessProbe": probe("test ! -e /tmp/dead"), "readinessProbe": probe("test -e /tmp/ready")}});
    node.run(
        "p",
        "Always",
        "sleep 0.5; echo > /tmp/ready; sleep 2; echo > /tmp/dead; sleep 1000",
        more,
    );
    node.api.until("p", |p| phase(p) == "Running").await;
    assert_eq!(container(&node.api.get(PODS, "p").unwrap())["ready"], false);
    node.api
        .until("p", |p| p.is_some_and(|p| container(p)["ready"] == true))
        .await;
    node.api
        .until("p", |p| p.is_some_and(|p| container(p)["restartCount"] == 1))
        .await;
    let killing = events(&node, "Killing");
    assert_eq!(
        killing[0]["message"],
        "Container c failed liveness probe, will be restarted"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_run_first_and_a_sidecar_outlives_the_main_container() {
    let node = Node::start().await;
    let image = format!("oci-bundle://{}", node.path("bundle").display());
    let container_of = |name: &str, script: &str| {
        json!({"name": name, "image": image, "command": ["/bin/sh", "-c", script],
            "volumeMounts": [{"name": "e", "mountPath": "/e"}]})
    };
    let mut sidecar = container_of(
        "s",
        "echo s >> /e/log; trap 'echo end >> /e/log; exit 0' TERM; while true; do sleep 0.05; done",
    );
    sidecar["restartPolicy"] = json!("Always");
    let more = json!({
        "volumes": [{"name": "e", "hostPath": {"path": node.path("shared"), "type": "DirectoryOrCreate"}}],
        "initContainers": [container_of("i", "echo i >> /e/log"), sidecar],
        "container": {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}});
    let script = "while ! test -e /e/log; do sleep 0.01; done; sleep 0.3; echo m >> /e/log";
    node.run("p", "Never", script, more);
    let pod = node.api.until("p", |p| phase(p) == "Succeeded").await.unwrap();
    assert_eq!(
        fs::read_to_string(node.path("shared/log")).unwrap(),
        "i\ns\nm\nend\n"
    );
    assert_eq!(
        pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_image_replaces_a_container_without_a_gap_in_readiness() {
    let node = Node::start().await;
    node.run(
        "p",
        "Always",
        "trap 'exit 0' TERM; while true; do sleep 0.05; done",
        json!({}),
    );
    let ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let is = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        conditions.is_some_and(|list| list.iter().any(is))
    };
    let mut pod = node.api.until("p", |p| p.is_some_and(ready)).await.unwrap();
    let other = format!("oci-bundle://{}/../bundle", node.path("bundle").display());
    pod["spec"]["containers"][0]["image"] = json!(other);
    node.api.put(PODS, pod);
    let unready = std::cell::Cell::new(false);
    let replaced = node
        .api
        .until("p", |p| {
            p.is_some_and(|p| {
                unready.set(unready.get() || !ready(p));
                container(p)["restartCount"] == 1
            })
        })
        .await
        .unwrap();
    assert!(!unready.get(), "shown as unready in between");
    assert!(ready(&replaced), "{replaced}");
    assert_eq!(container(&replaced)["image"], other);
    assert_eq!(container(&replaced)["lastState"]["terminated"]["exitCode"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_counts_as_soon_as_the_node_has_it() {
    let node = Node::start().await;
    node.run("first", "Always", "sleep 1000", json!({}));
    node.api.until("first", |p| phase(p) == "Running").await;
    let wanted = json!({"nodeSelector": {"color": "blue"}});
    node.run("early", "Always", "sleep 1000", wanted.clone());
    let early = node.api.until("early", |p| phase(p) == "Failed").await.unwrap();
    assert_eq!(early["status"]["reason"], "NodeAffinity");
    let mut object = node.api.get("nodes", "n").unwrap();
    object["metadata"]["labels"]["color"] = json!("blue");
    node.api.put("nodes", object);
    node.run("late", "Always", "sleep 1000", wanted);
    node.api.until("late", |p| phase(p) == "Running").await;
}
