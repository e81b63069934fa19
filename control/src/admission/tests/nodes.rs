//! A kubelet that tries to write more than its own.

use serde_json::{Value, json};

use super::{Ask, Fixture, ask, user};
use crate::admission::Operation;
use crate::auth::UserInfo;
use crate::auth::resources::{CSI_DRIVERS, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS};

fn kubelet() -> UserInfo {
    user("system:node:n1", &["system:nodes"])
}

fn refused(fixture: &Fixture, question: Ask<'_>, object: Option<Value>) -> String {
    let status = fixture.ask(question, object).unwrap_err();
    assert_eq!(status.code, 403);
    status.message
}

#[test]
fn new_nodes_are_not_ready() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    let mut question = ask(&kubelet, Operation::Create, "", "nodes");
    (question.namespace, question.name) = ("", "n1");
    let node = fixture
        .ask(question, Some(json!({"metadata": {"name": "n1"}})))
        .unwrap();
    assert_eq!(
        node["spec"]["taints"],
        json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    );
    assert_eq!(fixture.ask(question, Some(node.clone())).unwrap(), node);
}

#[test]
fn nodes_change_only_themselves() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    let node = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let create = |object: Value| {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut question = ask(&kubelet, Operation::Create, "", "nodes");
        (question.namespace, question.name) = ("", &name);
        fixture
            .ask(question, Some(object))
            .map_err(|status| status.message)
    };
    assert!(
        create(node(
            "n1",
            json!({"kubernetes.io/hostname": "n1", "my.org/x": "y", "node.kubernetes.io/any": ""})
        ))
        .is_ok()
    );
    assert!(
        create(node("n2", json!({})))
            .unwrap_err()
            .contains("is not allowed to modify node \"n2\"")
    );
    for label in [
        "node-restriction.kubernetes.io/secure",
        "x.node-restriction.kubernetes.io/secure",
        "node-role.kubernetes.io/control-plane",
        "anything.k8s.io/x",
        "kubernetes.io/other",
        "kubernetes.io/instance-type",
        "failure-domain.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
    ] {
        assert!(
            create(node("n1", json!({label: ""})))
                .unwrap_err()
                .contains(label),
            "{label}"
        );
    }
    assert!(create(node("n1", json!({"notkubernetes.io/x": ""}))).is_ok());

    let old = json!({
        "metadata": {"name": "n1", "labels": {"node-restriction.kubernetes.io/a": "1"}},
        "spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]},
    });
    let update = |change: &dyn Fn(&mut Value), subresource: &'static str| {
        let mut new = old.clone();
        change(&mut new);
        let mut question = ask(&kubelet, Operation::Update, "", "nodes");
        (
            question.namespace,
            question.name,
            question.old,
            question.subresource,
        ) = ("", "n1", Some(&old), subresource);
        fixture.ask(question, Some(new)).map_err(|status| status.message)
    };
    for subresource in ["", "status"] {
        assert!(update(&|node| node["status"] = json!({"phase": "x"}), subresource).is_ok());
        assert!(
            update(&|node| node["spec"]["taints"] = json!([]), subresource)
                .unwrap_err()
                .contains("modify taints")
        );
        let labels = update(&|node| node["metadata"]["labels"] = json!({}), subresource);
        assert!(labels.unwrap_err().contains("node-restriction.kubernetes.io/a"));
        assert!(
            update(
                &|node| node["metadata"]["ownerReferences"] = json!([{"kind": "x"}]),
                subresource
            )
            .is_err()
        );
    }
}

#[test]
fn pods_of_other_nodes_are_out_of_reach() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    for (node, mine) in [("n1", true), ("n2", false), ("", false)] {
        let pod = json!({"metadata": {"name": "x", "namespace": "a", "labels": {"a": "b"}}, "spec": {"nodeName": node}});
        fixture.memory.put(&PODS, &pod);
        let mut question = ask(&kubelet, Operation::Delete, "", "pods");
        question.old = Some(&pod);
        assert_eq!(fixture.ask(question, None).is_ok(), mine, "{node}");
        (question.operation, question.subresource) = (Operation::Update, "status");
        assert_eq!(fixture.ask(question, Some(pod.clone())).is_ok(), mine, "{node}");
        let mut relabelled = pod.clone();
        relabelled["metadata"]["labels"]["a"] = "c".into();
        assert!(fixture.ask(question, Some(relabelled)).is_err());
        (question.operation, question.subresource, question.old) = (Operation::Create, "eviction", None);
        assert_eq!(
            fixture
                .ask(question, Some(json!({"metadata": {"name": "x"}})))
                .is_ok(),
            mine,
            "{node}"
        );
    }
    let mut question = ask(&kubelet, Operation::Create, "", "pods");
    for subresource in ["exec", "binding", "ephemeralcontainers"] {
        question.subresource = subresource;
        assert!(refused(&fixture, question, Some(json!({}))).contains("unexpected pod subresource"));
    }
}

#[test]
fn only_mirror_pods_without_credentials() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    let question = ask(&kubelet, Operation::Create, "", "pods");
    let mirror = |spec: Value| {
        let mut pod = json!({
            "metadata": {"name": "x", "annotations": {"kubernetes.io/config.mirror": "h"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1", "controller": true}]},
            "spec": spec,
        });
        pod["spec"]["nodeName"] = "n1".into();
        pod
    };
    fixture
        .memory
        .put(&NODES, &json!({"metadata": {"name": "n1", "uid": "u1"}}));
    assert!(
        fixture
            .ask(question, Some(mirror(json!({"containers": [{"name": "c"}]}))))
            .is_ok()
    );
    let plain = json!({"metadata": {"name": "x"}, "spec": {"nodeName": "n1"}});
    assert!(refused(&fixture, question, Some(plain)).contains("can only create mirror pods"));
    for (owners, why) in [
        (json!([]), "an owner reference set to itself"),
        (json!([{}, {}]), "a single owner reference"),
        (
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "n1"}]),
            "an owner reference set to itself",
        ),
        (
            json!([{"apiVersion": "evil/v1", "kind": "Node", "name": "n1"}]),
            "an owner reference set to itself",
        ),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n2"}]),
            "an owner reference set to itself",
        ),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1"}]),
            "a controller owner",
        ),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1", "controller": true,
                "blockOwnerDeletion": true}]),
            "must not set blockOwnerDeletion",
        ),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u2", "controller": true}]),
            "UID mismatch",
        ),
    ] {
        let mut pod = mirror(json!({}));
        pod["metadata"]["ownerReferences"] = owners;
        let found = refused(&fixture, question, Some(pod));
        assert!(found.contains(why), "{found}");
    }
    let mut elsewhere = mirror(json!({}));
    elsewhere["spec"]["nodeName"] = "n2".into();
    refused(&fixture, question, Some(elsewhere));
    for spec in [
        json!({"serviceAccountName": "default"}),
        json!({"imagePullSecrets": [{"name": "s"}]}),
        json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "s"}}]}),
        json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}),
        json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
        json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "s"}}]}),
        json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}),
        json!({"initContainers": [{"envFrom": [{"configMapRef": {"name": "s"}}]}]}),
        json!({"ephemeralContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}),
        json!({"ephemeralContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "s"}}}]}]}),
        json!({"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "azureFile": {"secretName": "s"}}]}),
        json!({"volumes": [{"name": "v", "rbd": {"secretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "iscsi": {"secretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "cephfs": {"secretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "flexVolume": {"secretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "scaleIO": {"secretRef": {"name": "s"}}}]}),
        json!({"volumes": [{"name": "v", "storageos": {"secretRef": {"name": "s"}}}]}),
        json!({"resourceClaims": [{"name": "r", "resourceClaimName": "s"}]}),
    ] {
        refused(&fixture, question, Some(mirror(spec)));
    }
}

#[test]
fn tokens_only_for_own_pods() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    let volumes =
        json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    let pod = |node: &str| {
        json!({
            "metadata": {"name": "x", "namespace": "a", "uid": "u"}, "spec": {"nodeName": node, "volumes": volumes},
        })
    };
    fixture.memory.put(&PODS, &pod("n1"));
    let mut question = ask(&kubelet, Operation::Create, "", "serviceaccounts");
    question.subresource = "token";
    let request = |bound: Value| Some(json!({"spec": {"boundObjectRef": bound}}));
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"});
    assert!(fixture.ask(question, request(bound.clone())).is_ok());
    assert!(refused(&fixture, question, request(json!(null))).contains("not bound to a pod"));
    let without = json!({"apiVersion": "v1", "kind": "Pod", "name": "x"});
    assert!(refused(&fixture, question, request(without)).contains("without a uid"));
    fixture.memory.put(&PODS, &pod("n2"));
    assert!(refused(&fixture, question, request(bound)).contains("scheduled on a different node"));
}

#[test]
fn tokens_only_for_whom_the_pod_shows_them_to() {
    let fixture = Fixture::new();
    let kubelet = kubelet();
    let volumes = json!([
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"audience": "bank"}}]}},
        {"name": "own", "csi": {"driver": "inline.io"}},
        {"name": "claimed", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "passing", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "lost", "persistentVolumeClaim": {"claimName": "none"}},
    ]);
    fixture.memory.put(
        &PODS,
        &json!({
            "metadata": {"name": "x", "namespace": "a", "uid": "u"}, "spec": {"nodeName": "n1", "volumes": volumes},
        }),
    );
    for (claim, volume, driver) in [("c", "v1", "claimed.io"), ("x-passing", "v2", "passing.io")] {
        fixture.memory.put(
            &PERSISTENT_VOLUME_CLAIMS,
            &json!({"metadata": {"name": claim, "namespace": "a"}, "spec": {"volumeName": volume}}),
        );
        fixture.memory.put(
            &PERSISTENT_VOLUMES,
            &json!({"metadata": {"name": volume}, "spec": {"csi": {"driver": driver}}}),
        );
    }
    for driver in ["inline.io", "claimed.io", "passing.io", "unused.io"] {
        fixture.memory.put(
            &CSI_DRIVERS,
            &json!({"metadata": {"name": driver}, "spec": {"tokenRequests": [{"audience": format!("for-{driver}")}]}}),
        );
    }
    fixture.allow(("Group", "system:nodes"), &json!([
            {"verbs": ["request-serviceaccounts-token-audience"], "apiGroups": [""], "resources": ["registry"],
             "resourceNames": ["robot"]},
        ]));
    let mut question = ask(&kubelet, Operation::Create, "", "serviceaccounts");
    (question.subresource, question.name) = ("token", "robot");
    let request = |audiences: Value| {
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"});
        Some(json!({"spec": {"audiences": audiences, "boundObjectRef": bound}}))
    };
    for audience in [
        "bank",
        "for-inline.io",
        "for-claimed.io",
        "for-passing.io",
        "registry",
    ] {
        assert!(
            fixture.ask(question, request(json!([audience]))).is_ok(),
            "{audience}"
        );
    }
    assert_eq!(
        refused(&fixture, question, request(json!(["vault"]))),
        "serviceaccounts \"robot\" is forbidden: audience \"vault\" not found in pod spec volume, system:node:n1 is \
         not authorized to request tokens for this audience"
    );
    for other in [json!(["for-unused.io"]), json!([]), json!([""]), json!(null)] {
        assert!(refused(&fixture, question, request(other)).contains("not found in pod spec volume"));
    }
    assert!(refused(&fixture, question, request(json!(["bank", "vault"]))).contains("0 or 1 audiences"));
    question.name = "other";
    assert!(
        refused(&fixture, question, request(json!(["registry"]))).contains("not found in pod spec volume")
    );
}

#[test]
fn leases_carry_the_name() {
    let fixture = Fixture::new();
    fixture.memory.put(
        &crate::auth::resources::NAMESPACES,
        &json!({"metadata": {"name": "kube-node-lease"}}),
    );
    let kubelet = kubelet();
    let mut question = ask(&kubelet, Operation::Create, "coordination.k8s.io", "leases");
    question.namespace = "kube-node-lease";
    assert!(
        fixture
            .ask(question, Some(json!({"metadata": {"name": "n1"}})))
            .is_ok()
    );
    refused(&fixture, question, Some(json!({"metadata": {"name": "n2"}})));
    question.namespace = "a";
    refused(&fixture, question, Some(json!({"metadata": {"name": "n1"}})));
}
