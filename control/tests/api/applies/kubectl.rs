//! The real kubectl.

use super::{DEPLOYMENTS, entry};
use crate::cluster::Cluster;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'busybox:1.36'}]}
";

#[test]
fn kubectl_applies_on_the_server() {
    let cluster = Cluster::start();
    let apply = |more: &[&str], text: &str| {
        let arguments = [&["apply", "--server-side", "-f", "-"], more].concat();
        cluster.kubectl_with(&arguments, text)
    };
    assert_eq!(
        apply(&[], WEB).ok().trim(),
        "deployment.apps/web serverside-applied"
    );
    cluster.kubectl(&["scale", "deployment/web", "--replicas=3"]).ok();
    let refused = apply(&[], WEB).failed();
    assert!(
        refused.contains("with subresource \"scale\" using apps/v1: .spec.replicas"),
        "{refused}"
    );
    apply(&["--force-conflicts"], WEB).ok();
    let other = WEB.replace("1.36", "1.37");
    let refused = apply(&["--field-manager=other"], &other).failed();
    assert!(
        refused.contains("conflict with \"kubectl\": .spec.template.spec.containers[name=\"c\"].image"),
        "{refused}"
    );
    let shown = cluster
        .kubectl(&["get", "deployment", "web", "-o", "yaml", "--show-managed-fields"])
        .ok();
    assert!(
        shown.contains("k:{\"name\":\"c\"}:") && shown.contains("operation: Apply"),
        "{shown}"
    );
    let diff = cluster.kubectl_with(&["diff", "--server-side", "-f", "-"], &other);
    assert_eq!(diff.code, 1, "{}", diff.err);
    assert!(diff.out.contains("+      - image: busybox:1.37"), "{}", diff.out);
}

#[test]
fn kubectls_client_side_applies_migrate() {
    let cluster = Cluster::start();
    cluster.kubectl_with(&["apply", "-f", "-"], WEB).ok();
    let web = format!("{DEPLOYMENTS}/web");
    entry(&cluster.get(&web).1, "kubectl-client-side-apply", "");
    let changed = WEB.replace("replicas: 1", "replicas: 0");
    cluster
        .kubectl_with(&["apply", "--server-side", "-f", "-"], &changed)
        .ok();
    let (_, now) = cluster.get(&web);
    assert_eq!(now["spec"]["replicas"], 0);
    let entries = now["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry["manager"] != "kubectl-client-side-apply"),
        "{now:#}"
    );
    assert!(
        entry(&now, "kubectl", "")["fieldsV1"]["f:spec"]
            .get("f:replicas")
            .is_some()
    );
    // Both applies go on side by side: the server keeps the client's annotation.
    let last = now["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
        .as_str()
        .unwrap();
    assert!(last.contains("\"replicas\":0"), "{last}");
    let out = cluster.kubectl_with(&["apply", "-f", "-"], &changed).ok();
    assert!(out.contains("deployment.apps/web"), "{out}");
}
