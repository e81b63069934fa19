//! kubectl with replication controllers, and its proxy. No pod runs here: what is shown is what API and controllers do.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::Cluster;

const CONTROLLER: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: agnhost-primary, labels: {app: agnhost, role: primary}}
spec:
  replicas: 2
  selector: {app: agnhost, role: primary}
  template:
    metadata: {labels: {app: agnhost, role: primary}}
    spec: {containers: [{name: agnhost-primary, image: 'agnhost:1', ports: [{name: agnhost-server, containerPort: 6379}]}]}
";

fn pods(cluster: &Cluster) -> Vec<String> {
    let names = cluster
        .kubectl(&["get", "pods", "-l", "app=agnhost", "-o", "name"])
        .ok();
    names.lines().map(str::to_owned).collect()
}

#[test]
fn a_controller_is_scaled_described_exposed_and_patched() {
    let cluster = Cluster::start();
    let kubectl = |arguments: &[&str]| cluster.kubectl(arguments);
    cluster.kubectl_with(&["create", "-f", "-"], CONTROLLER).ok();
    let count = |wanted: usize| cluster.eventually("so many pods", |cluster| pods(cluster).len() == wanted);
    count(2);
    for replicas in ["1", "2"] {
        let to = format!("--replicas={replicas}");
        kubectl(&["scale", "rc", "agnhost-primary", &to]).ok();
        count(replicas.parse().unwrap());
    }
    cluster.eventually("the status follows", |cluster| {
        let shown = cluster.kubectl(&["describe", "rc", "agnhost-primary"]).ok();
        shown.contains("2 current / 2 desired")
    });
    let described = kubectl(&["describe", "rc", "agnhost-primary"]).ok();
    for part in [
        "Name:         agnhost-primary",
        "Namespace:    default",
        "Selector:     app=agnhost,role=primary",
        "Labels:       app=agnhost",
        "Image:         agnhost:1",
        "Pods Status:  0 Running / 2 Waiting / 0 Succeeded / 0 Failed",
        "Events:",
        "SuccessfulCreate",
    ] {
        assert!(described.contains(part), "{part}: {described}");
    }
    let pod = pods(&cluster).remove(0);
    let described = kubectl(&["describe", &pod]).ok();
    for part in [
        "Name:",
        "Namespace:",
        "Labels:",
        "role=primary",
        "Status:",
        "ReplicationController/agnhost-primary",
    ] {
        assert!(described.contains(part), "{part}: {described}");
    }
    kubectl(&[
        "expose",
        "rc",
        "agnhost-primary",
        "--name=rm2",
        "--port=1234",
        "--target-port=6379",
    ])
    .ok();
    kubectl(&[
        "expose",
        "service",
        "rm2",
        "--name=rm3",
        "--port=2345",
        "--target-port=6379",
    ])
    .ok();
    for (name, port) in [("rm2", 1234), ("rm3", 2345)] {
        let (_, service) = cluster.get(&format!("/api/v1/namespaces/default/services/{name}"));
        let first = &service["spec"]["ports"][0];
        assert_eq!(
            (first["port"].as_i64(), first["targetPort"].as_i64()),
            (Some(port), Some(6379))
        );
        assert_eq!(service["spec"]["selector"]["role"], "primary");
    }
    let described = kubectl(&["describe", "service", "rm2"]).ok();
    for part in [
        "Name:",
        "Selector:",
        "Type:",
        "IP:",
        "Port:",
        "1234/TCP",
        "TargetPort:",
        "6379/TCP",
        "Endpoints:",
        "Session Affinity:",
    ] {
        assert!(described.contains(part), "{part}: {described}");
    }
    let described = kubectl(&["describe", "namespace", "default"]).ok();
    for part in ["Name:", "Labels:", "Annotations:", "Status:", "Active"] {
        assert!(described.contains(part), "{part}: {described}");
    }
    for pod in pods(&cluster) {
        kubectl(&["patch", &pod, "-p", r#"{"metadata":{"annotations":{"x":"y"}}}"#]).ok();
    }
    let noted = kubectl(&[
        "get",
        "pods",
        "-l",
        "app=agnhost",
        "-o",
        "jsonpath={.items[*].metadata.annotations.x}",
    ])
    .ok();
    assert_eq!(noted, "y y");
    cluster
        .kubectl_with(&["delete", "--grace-period=0", "--force", "-f", "-"], CONTROLLER)
        .ok();
    count(0);
}

#[test]
fn the_proxy_listens_on_a_socket_of_its_own() {
    let cluster = Cluster::start();
    let socket = cluster.dir.path().join("proxy.sock");
    let binary = std::env::var("KUBECTL").unwrap_or_else(|_| crate::cluster::KUBECTL.to_owned());
    let mut proxy = Command::new(binary)
        .env("KUBECONFIG", cluster.kubeconfig())
        .arg("proxy")
        .arg(format!("--unix-socket={}", socket.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    cluster.eventually("the proxy's socket", |_| socket.exists());
    let output = Command::new("curl")
        .args(["--silent", "--unix-socket"])
        .arg(&socket)
        .arg("http://localhost/api/")
        .output()
        .unwrap();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let versions: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(versions["versions"][0], "v1");
}
