//! What one node's credentials open, and what they must not.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::auth::memory::Memory;
use crate::auth::resources::{PERSISTENT_VOLUMES, PODS, VOLUME_ATTACHMENTS};

#[allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow
fn pod(name: &str, node: &str, spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "a", "uid": format!("uid-{name}")},
        "spec": spec,
    });
    pod["spec"]["nodeName"] = node.into();
    pod
}

fn rules() -> (Arc<Memory>, NodeRules) {
    let memory = Arc::new(Memory::default());
    memory.put(&PODS, &pod("mine", "n1", json!({
        "serviceAccountName": "robot",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{
            "env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}],
            "envFrom": [{"configMapRef": {"name": "from"}}],
        }],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "init"}}]}],
        "volumes": [
            {"name": "v", "secret": {"secretName": "volume"}},
            {"name": "p", "projected": {"sources": [{"configMap": {"name": "root-ca"}}, {"secret": {"name": "projected"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "e", "ephemeral": {}},
        ],
    })));
    memory.put(
        &PODS,
        &pod(
            "theirs",
            "n2",
            json!({
                "serviceAccountName": "other",
                "volumes": [{"name": "v", "secret": {"secretName": "theirs"}}],
            }),
        ),
    );
    memory.put(
        &PERSISTENT_VOLUMES,
        &json!({
            "metadata": {"name": "pv"}, "spec": {"claimRef": {"namespace": "a", "name": "claim"}},
        }),
    );
    (memory.clone(), NodeRules::new(memory))
}

fn node(name: &str) -> UserInfo {
    UserInfo {
        name: format!("system:node:{name}"),
        groups: vec!["system:nodes".to_owned(), "system:authenticated".to_owned()],
        ..UserInfo::default()
    }
}

fn ask(rules: &NodeRules, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let user = node("n1");
    let (group, resource) = resource.rsplit_once(':').unwrap_or(("", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = Attributes {
        subresource,
        namespace,
        name,
        ..Attributes::resource(&user, verb, group, resource)
    };
    rules.authorize(&attributes).is_allowed()
}

#[test]
fn objects_of_own_pods_are_readable() {
    let (_, rules) = rules();
    for secret in ["pull", "env", "init", "volume", "projected"] {
        assert!(ask(&rules, "get", "secrets", "a", secret), "{secret}");
        assert!(ask(&rules, "watch", "secrets", "a", secret), "{secret}");
        assert!(!ask(&rules, "update", "secrets", "a", secret), "{secret}");
        assert!(!ask(&rules, "get", "secrets", "b", secret), "{secret}");
    }
    for map in ["from", "root-ca"] {
        assert!(ask(&rules, "get", "configmaps", "a", map), "{map}");
    }
    assert!(ask(&rules, "get", "persistentvolumeclaims", "a", "claim"));
    assert!(ask(&rules, "get", "persistentvolumeclaims", "a", "mine-e"));
    assert!(ask(&rules, "get", "persistentvolumes", "", "pv"));
    assert!(ask(&rules, "create", "serviceaccounts/token", "a", "robot"));
    assert!(ask(&rules, "get", "pods", "a", "mine"));
}

#[test]
fn everything_else_is_not() {
    let (_, rules) = rules();
    for (verb, resource, name) in [
        ("get", "secrets", "theirs"),
        ("get", "secrets", "unknown"),
        ("list", "secrets", ""),
        ("get", "secrets", ""),
        ("create", "secrets", "x"),
        ("delete", "secrets", "volume"),
        // The same name, but of another kind.
        ("get", "configmaps", "volume"),
        ("get", "persistentvolumeclaims", "volume"),
        ("list", "persistentvolumeclaims", "claim"),
        ("create", "serviceaccounts/token", "other"),
        ("create", "serviceaccounts", "robot"),
        ("get", "serviceaccounts", "robot"),
        ("get", "pods", "theirs"),
        ("list", "pods", ""),
        ("update", "pods", "mine"),
        ("create", "pods/exec", "mine"),
        ("get", "pods/log", "mine"),
        ("create", "pods/binding", "mine"),
        ("list", "namespaces", ""),
        ("delete", "nodes", "n1"),
        ("get", "nodes", "n2"),
        ("list", "nodes", ""),
        ("get", "nodes/proxy", "n1"),
        ("create", "rbac.authorization.k8s.io:clusterrolebindings", ""),
        ("get", "storage.k8s.io:csinodes", "n2"),
    ] {
        assert!(
            !ask(&rules, verb, resource, "a", name),
            "{verb} {resource} {name}"
        );
    }
    assert!(!ask(&rules, "list", "secrets", "", ""));
    assert!(!ask(
        &rules,
        "get",
        "coordination.k8s.io:leases",
        "kube-node-lease",
        "n2"
    ));
    assert!(!ask(
        &rules,
        "get",
        "coordination.k8s.io:leases",
        "kube-system",
        "n1"
    ));
    assert!(!ask(
        &rules,
        "list",
        "coordination.k8s.io:leases",
        "kube-node-lease",
        ""
    ));
}

#[test]
fn own_objects() {
    let (_, rules) = rules();
    for (verb, resource, name) in [
        ("create", "nodes", ""),
        ("get", "nodes", "n1"),
        ("watch", "nodes", "n1"),
        ("patch", "nodes/status", "n1"),
        ("create", "pods", ""),
        ("delete", "pods", "mine"),
        ("patch", "pods/status", "mine"),
        ("create", "pods/eviction", "mine"),
        ("create", "events", ""),
        ("list", "services", ""),
        ("watch", "node.k8s.io:runtimeclasses", ""),
        ("create", "authentication.k8s.io:tokenreviews", ""),
        ("create", "authorization.k8s.io:subjectaccessreviews", ""),
    ] {
        assert!(ask(&rules, verb, resource, "", name), "{verb} {resource} {name}");
    }
    assert!(ask(
        &rules,
        "update",
        "coordination.k8s.io:leases",
        "kube-node-lease",
        "n1"
    ));
    assert!(ask(
        &rules,
        "create",
        "coordination.k8s.io:leases",
        "kube-node-lease",
        ""
    ));
}

#[test]
fn pods_are_listed_by_node_only() {
    let (_, rules) = rules();
    let user = node("n1");
    let list = |selector: &str| {
        let attributes = Attributes {
            field_selector: selector,
            ..Attributes::resource(&user, "watch", "", "pods")
        };
        rules.authorize(&attributes)
    };
    assert!(list("spec.nodeName=n1").is_allowed());
    assert!(list("spec.nodeName==n1,status.phase!=Failed").is_allowed());
    for selector in [
        "",
        "spec.nodeName=n2",
        "spec.nodeName!=n1",
        "spec.nodeName",
        "status.phase=Running",
    ] {
        assert!(!list(selector).is_allowed(), "{selector}");
    }
    assert_eq!(
        list("").reason(),
        "can only list/watch pods with spec.nodeName field selector"
    );
}

#[test]
fn rights_end_with_the_pod() {
    let (memory, rules) = rules();
    assert!(ask(&rules, "get", "secrets", "a", "volume"));
    memory.put(
        &PODS,
        &pod(
            "mine",
            "n2",
            json!({"volumes": [{"name": "v", "secret": {"secretName": "volume"}}]}),
        ),
    );
    assert!(!ask(&rules, "get", "secrets", "a", "volume"));
    memory.remove(&PODS, "a", "mine");
    assert!(!ask(&rules, "get", "pods", "a", "mine"));
}

#[test]
fn secrets_of_mounted_volumes_are_readable() {
    let (memory, rules) = rules();
    let volume = |name: &str, claim: &str, source: Value| {
        let mut spec = source;
        spec["claimRef"] = json!({"namespace": "a", "name": claim});
        json!({"metadata": {"name": name, "uid": name}, "spec": spec})
    };
    let secret = |name: &str| json!({"namespace": "vault", "name": name});
    let csi = json!({"csi": {
        "nodeStageSecretRef": secret("stage"),
        "nodePublishSecretRef": secret("publish"),
        "nodeExpandSecretRef": secret("expand"),
        "controllerPublishSecretRef": secret("attach"),
        "controllerExpandSecretRef": secret("grow"),
    }});
    memory.put(&PERSISTENT_VOLUMES, &volume("csi", "claim", csi.clone()));
    for name in ["stage", "publish", "expand"] {
        assert!(ask(&rules, "get", "secrets", "vault", name), "{name}");
        assert!(!ask(&rules, "get", "secrets", "a", name), "{name}");
        assert!(!ask(&rules, "get", "configmaps", "vault", name), "{name}");
    }
    for name in ["attach", "grow"] {
        assert!(!ask(&rules, "get", "secrets", "vault", name), "{name}");
    }
    // The generic volume of the pod has a claim as well; that of a claim that no pod here uses opens nothing.
    memory.put(&PERSISTENT_VOLUMES, &volume("csi", "unused", csi.clone()));
    assert!(!ask(&rules, "get", "secrets", "vault", "stage"));
    memory.put(&PERSISTENT_VOLUMES, &volume("csi", "mine-e", csi.clone()));
    assert!(ask(&rules, "get", "secrets", "vault", "stage"));
    // One secret for many volumes, in other namespaces too.
    let mut other = volume("other", "claim", csi);
    other["spec"]["claimRef"]["namespace"] = "b".into();
    memory.put(&PERSISTENT_VOLUMES, &other);
    assert!(ask(&rules, "get", "secrets", "vault", "stage"));
    memory.remove(&PERSISTENT_VOLUMES, "", "csi");
    assert!(!ask(&rules, "get", "secrets", "vault", "stage"));
    for (kind, source, namespace) in [
        ("azureFile", json!({"secretName": "s"}), "a"),
        (
            "azureFile",
            json!({"secretName": "s", "secretNamespace": "vault"}),
            "vault",
        ),
        ("cephfs", json!({"secretRef": {"name": "s"}}), "a"),
        ("cephfs", json!({"secretRef": secret("s")}), "vault"),
        ("cinder", json!({"secretRef": secret("s")}), "vault"),
        ("flexVolume", json!({"secretRef": secret("s")}), "vault"),
        ("iscsi", json!({"secretRef": {"name": "s"}}), "a"),
        ("rbd", json!({"secretRef": secret("s")}), "vault"),
        ("scaleIO", json!({"secretRef": secret("s")}), "vault"),
        ("storageos", json!({"secretRef": secret("s")}), "vault"),
    ] {
        assert!(!ask(&rules, "get", "secrets", namespace, "s"), "before {kind}");
        memory.put(
            &PERSISTENT_VOLUMES,
            &volume("old", "claim", json!({kind: source})),
        );
        assert!(ask(&rules, "get", "secrets", namespace, "s"), "{kind}");
        memory.remove(&PERSISTENT_VOLUMES, "", "old");
    }
}

#[test]
fn attachments_of_the_node_are_readable() {
    let (memory, rules) = rules();
    let attachments = "storage.k8s.io:volumeattachments";
    for (name, node) in [("here", "n1"), ("there", "n2")] {
        memory.put(
            &VOLUME_ATTACHMENTS,
            &json!({"metadata": {"name": name}, "spec": {"nodeName": node}}),
        );
    }
    assert!(ask(&rules, "get", attachments, "", "here"));
    for (verb, name) in [
        ("get", "there"),
        ("get", "unknown"),
        ("get", ""),
        ("list", ""),
        ("watch", "here"),
        ("update", "here"),
        ("delete", "here"),
    ] {
        assert!(!ask(&rules, verb, attachments, "", name), "{verb} {name}");
    }
    assert!(!ask(
        &rules,
        "get",
        "storage.k8s.io:volumeattachments/status",
        "",
        "here"
    ));
}

#[test]
fn a_mirror_pod_opens_nothing() {
    let (memory, rules) = rules();
    let mut mirror = pod(
        "mirror",
        "n1",
        json!({"volumes": [{"name": "v", "secret": {"secretName": "coveted"}}]}),
    );
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    memory.put(&PODS, &mirror);
    assert!(!ask(&rules, "get", "secrets", "a", "coveted"));
}

#[test]
fn only_nodes_are_nodes() {
    let (_, rules) = rules();
    for (name, groups) in [
        ("system:node:n1", vec!["system:authenticated"]),
        ("n1", vec!["system:nodes"]),
        ("system:node:", vec!["system:nodes"]),
        ("system:serviceaccount:a:n1", vec!["system:nodes"]),
    ] {
        let user = UserInfo {
            name: name.to_owned(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            ..UserInfo::default()
        };
        let attributes = Attributes {
            namespace: "a",
            name: "volume",
            ..Attributes::resource(&user, "get", "", "secrets")
        };
        assert!(!rules.authorize(&attributes).is_allowed(), "{name}");
    }
}
