//! The commands of a user's day with the real kubectl.

use crate::cluster::Cluster;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'busybox:1.36'}]}
";

#[test]
fn discovery_and_version() {
    let cluster = Cluster::start();
    let version = cluster.kubectl(&["version"]).ok();
    assert!(version.contains("Server Version: v1.33.0+keelson"), "{version}");
    let resources = cluster.kubectl(&["api-resources"]).ok();
    for line in [
        "pods                                po",
        "deployments                         deploy",
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        let found = resources
            .lines()
            .any(|line| line.split_whitespace().take(2).eq(words.iter().copied()));
        assert!(found, "{resources}");
    }
    let (_, api) = cluster.get("/api");
    assert_eq!(api["kind"], "APIVersions");
    assert!(api["serverAddressByClientCIDRs"][0]["serverAddress"].is_string());
    for path in [
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/api/v1",
        "/",
        "/openapi/v3",
    ] {
        assert_eq!(cluster.get(path).0, 200, "{path}");
    }
    assert!(cluster.kubectl(&["cluster-info"]).ok().contains("is running at"));
    assert!(
        cluster
            .kubectl(&["explain", "deployment.spec.replicas"])
            .ok()
            .contains("FIELD: replicas <integer>")
    );
}

#[test]
fn objects_are_created_shown_changed_and_deleted() {
    let cluster = Cluster::start();
    let kubectl = |arguments: &[&str]| cluster.kubectl(arguments);
    kubectl(&["create", "configmap", "a", "--from-literal=x=y"]).ok();
    kubectl(&["create", "secret", "generic", "s", "--from-literal=p=q"]).ok();
    assert_eq!(
        kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.p}"]).ok(),
        "cQ=="
    );
    kubectl(&["create", "namespace", "other"]).ok();
    kubectl(&["create", "serviceaccount", "robot"]).ok();
    kubectl(&["create", "deployment", "hello", "--image=x:1", "--replicas=0"]).ok();
    kubectl(&["label", "deployment", "hello", "tier=front"]).ok();
    kubectl(&["annotate", "deployment", "hello", "note=1"]).ok();
    kubectl(&["scale", "deployment", "hello", "--replicas=2"]).ok();
    kubectl(&["set", "image", "deployment/hello", "x=x:2"]).ok();
    kubectl(&["set", "env", "deployment/hello", "A=B"]).ok();
    let image = "jsonpath={.spec.template.spec.containers[*].image} {.spec.replicas}";
    assert_eq!(
        kubectl(&["get", "deployment", "hello", "-o", image]).ok(),
        "x:2 2"
    );
    kubectl(&["expose", "deployment", "hello", "--type=NodePort", "--port=8080"]).ok();
    let wide = kubectl(&["get", "service", "hello"]).ok();
    assert!(wide.contains("NodePort") && wide.contains("8080:3"), "{wide}");
    let named = kubectl(&["get", "deployment", "-l", "tier=front", "-o", "name"]).ok();
    assert_eq!(named.trim(), "deployment.apps/hello");
    kubectl(&["describe", "deployment", "hello"]).ok();
    kubectl(&["rollout", "history", "deployment/hello"]).ok();
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"x","tty":true}]}}}}"#;
    kubectl(&["patch", "deployment", "hello", "-p", patch]).ok();
    assert_eq!(
        kubectl(&["get", "deployment", "hello", "-o", image]).ok(),
        "x:2 2",
        "strategic: merged by name"
    );
    kubectl(&["delete", "deployment", "hello"]).ok();
    let missing = kubectl(&["get", "deployment", "hello"]).failed();
    assert_eq!(
        missing.trim(),
        "Error from server (NotFound): deployments.apps \"hello\" not found"
    );
    assert_eq!(kubectl(&["auth", "can-i", "create", "pods"]).ok().trim(), "yes");
}

#[test]
fn apply_diff_and_field_validation() {
    let cluster = Cluster::start();
    let apply = |text: &str| cluster.kubectl_with(&["apply", "-f", "-"], text);
    assert_eq!(apply(DEPLOYMENT).ok().trim(), "deployment.apps/web created");
    assert_eq!(apply(DEPLOYMENT).ok().trim(), "deployment.apps/web unchanged");
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3");
    let diff = cluster.kubectl_with(&["diff", "-f", "-"], &changed);
    assert_eq!(diff.code, 1, "{}", diff.err);
    assert!(
        diff.out.contains("-  replicas: 2") && diff.out.contains("+  replicas: 3"),
        "{}",
        diff.out
    );
    assert_eq!(apply(&changed).ok().trim(), "deployment.apps/web configured");
    let unknown = apply(&DEPLOYMENT.replace("replicas: 2", "replicaz: 2")).failed();
    assert!(
        unknown.contains("strict decoding error: unknown field \"spec.replicaz\""),
        "{unknown}"
    );
    let wrong = apply(&DEPLOYMENT.replace("replicas: 2", "replicas: two")).failed();
    assert!(
        wrong.contains("The request is invalid: patch: Invalid value:")
            && wrong.contains("spec:map[replicas:two]]\": unrecognized type: int32"),
        "{wrong}"
    );
    let invalid = apply(&DEPLOYMENT.replace("replicas: 2", "replicas: -2")).failed();
    assert!(
        invalid.contains("spec.replicas: Invalid value: -2: must be greater than or equal to 0"),
        "{invalid}"
    );
    cluster.kubectl_with(&["delete", "-f", "-"], DEPLOYMENT).ok();
}

#[test]
fn nodes_are_cordoned_tainted_and_drained() {
    let cluster = Cluster::start();
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: worker}\n";
    cluster.kubectl_with(&["create", "-f", "-"], node).ok();
    cluster.kubectl(&["cordon", "worker"]).ok();
    assert_eq!(
        cluster
            .kubectl(&["get", "node", "worker", "-o", "jsonpath={.spec.unschedulable}"])
            .ok(),
        "true"
    );
    cluster.kubectl(&["uncordon", "worker"]).ok();
    cluster
        .kubectl(&["taint", "node", "worker", "a=b:NoSchedule"])
        .ok();
    assert!(
        cluster
            .kubectl(&["describe", "node", "worker"])
            .ok()
            .contains("a=b:NoSchedule")
    );
    let bound = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: worker, terminationGracePeriodSeconds: 0, containers: [{name: c, image: i}]}";
    cluster.kubectl_with(&["create", "-f", "-"], bound).ok();
    let drained = cluster
        .kubectl(&["drain", "worker", "--force", "--timeout=10s"])
        .ok();
    assert!(drained.contains("node/worker drained"), "{drained}");
}
