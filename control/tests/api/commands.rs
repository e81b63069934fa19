//! The commands that the conformance suite tries of kubectl and that need no running pod.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::cluster::{Cluster, KUBECTL};

#[test]
fn versions_and_what_serves() {
    let cluster = Cluster::start();
    let versions = cluster.kubectl(&["api-versions"]).ok();
    assert!(versions.lines().any(|line| line == "v1"), "{versions}");
    let version = cluster.kubectl(&["version"]).ok();
    for part in ["Client Version: v1.", "Server Version: v1.33."] {
        assert!(version.contains(part), "{version}");
    }
    let full = cluster.kubectl(&["version", "-o", "json"]).ok();
    let full: serde_json::Value = serde_json::from_str(&full).unwrap();
    for field in ["major", "minor", "gitVersion", "goVersion", "platform"] {
        let value = full["serverVersion"][field].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{field}: {full}");
        let value = full["clientVersion"][field].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "the client's {field}: {full}");
    }
    for field in ["major", "minor"] {
        let value = full["serverVersion"][field].as_str().unwrap();
        assert!(value.parse::<u32>().is_ok(), "{field}: {value}");
    }
    let info = cluster.kubectl(&["cluster-info"]).ok();
    assert!(
        info.contains("Kubernetes control plane") && info.contains("is running at"),
        "{info}"
    );
}

#[test]
fn pods_are_run_labelled_replaced_and_tried() {
    let cluster = Cluster::start();
    let kubectl = |arguments: &[&str]| cluster.kubectl(arguments);
    let image = || {
        let path = "jsonpath={.spec.containers[*].image}";
        kubectl(&["get", "pod", "e2e", "-o", path]).ok()
    };
    kubectl(&[
        "run",
        "e2e",
        "--restart=Never",
        "--image=httpd:1",
        "--labels=run=e2e",
    ])
    .ok();
    assert_eq!(image(), "httpd:1");
    kubectl(&["label", "pod", "e2e", "testing-label=testing-label-value"]).ok();
    let shown = kubectl(&["get", "pod", "e2e", "-L", "testing-label"]).ok();
    assert!(shown.contains("testing-label-value"), "{shown}");
    kubectl(&["label", "pod", "e2e", "testing-label-"]).ok();
    let shown = kubectl(&["get", "pod", "e2e", "-L", "testing-label"]).ok();
    assert!(!shown.contains("testing-label-value"), "{shown}");
    // On the server, but only to try.
    let patch = r#"{"spec":{"containers":[{"name":"e2e","image":"busybox:1"}]}}"#;
    let tried = kubectl(&[
        "patch",
        "pod",
        "e2e",
        "-p",
        patch,
        "--dry-run=server",
        "-o",
        "yaml",
    ])
    .ok();
    assert!(tried.contains("image: busybox:1"), "{tried}");
    assert_eq!(image(), "httpd:1");
    let changed = kubectl(&["get", "pod", "e2e", "-o", "json"])
        .ok()
        .replace("httpd:1", "busybox:1");
    cluster.kubectl_with(&["replace", "-f", "-"], &changed).ok();
    assert_eq!(image(), "busybox:1");
    cluster
        .kubectl_with(
            &["replace", "--force", "--grace-period=0", "-f", "-"],
            &changed.replace("busybox:1", "httpd:2"),
        )
        .ok();
    assert_eq!(image(), "httpd:2");
}

#[test]
fn a_difference_of_deployments_is_found() {
    let cluster = Cluster::start();
    let deployment = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: httpd-deployment}
spec:
  replicas: 0
  selector: {matchLabels: {app: httpd}}
  template:
    metadata: {labels: {app: httpd}}
    spec: {containers: [{name: httpd, image: 'httpd:1', ports: [{containerPort: 80}]}]}
";
    cluster.kubectl_with(&["create", "-f", "-"], deployment).ok();
    let same = cluster.kubectl_with(&["diff", "-f", "-"], deployment);
    assert_eq!((same.code, same.out.as_str()), (0, ""), "{}", same.err);
    let diff = cluster.kubectl_with(&["diff", "-f", "-"], &deployment.replace("httpd:1", "busybox:1"));
    assert_eq!(diff.code, 1, "{}", diff.err);
    for part in ["-      - image: httpd:1", "+      - image: busybox:1"] {
        assert!(diff.out.contains(part), "{}", diff.out);
    }
}

#[test]
fn the_proxy_takes_any_free_port() {
    let cluster = Cluster::start();
    let binary = std::env::var("KUBECTL").unwrap_or_else(|_| KUBECTL.to_owned());
    let mut proxy = Command::new(binary)
        .env("KUBECONFIG", cluster.kubeconfig())
        .args(["proxy", "--port=0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(proxy.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let output = Command::new("curl")
        .args(["--silent", &format!("http://{address}/api/")])
        .output();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let versions: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(versions["versions"][0], "v1", "{line}");
}
