//! What happens to pods.

use serde_json::{Value, json};

use super::{Fixture, ask, user};
use crate::admission::Operation;
use crate::auth::resources::{PRIORITY_CLASSES, RUNTIME_CLASSES, SERVICE_ACCOUNTS};

fn pod() -> Value {
    json!({
        "metadata": {"name": "x", "namespace": "a"},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
    })
}

fn admitted(fixture: &Fixture, pod: Value) -> Value {
    fixture.create("", "pods", pod).unwrap()["spec"].clone()
}

fn refused(fixture: &Fixture, pod: Value) -> String {
    let status = fixture.create("", "pods", pod).unwrap_err();
    assert_eq!(status.code, 403);
    status.message
}

#[test]
fn the_default_service_account_is_mounted() {
    let spec = admitted(&Fixture::new(), pod());
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let sources = &volume["projected"]["sources"];
    assert_eq!(
        sources[0],
        json!({"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}})
    );
    assert_eq!(sources[1]["configMap"]["name"], "kube-root-ca.crt");
    assert_eq!(
        sources[2]["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"],
        "metadata.namespace"
    );
    for list in ["containers", "initContainers"] {
        assert_eq!(
            spec[list][0]["volumeMounts"],
            json!([
                {"name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            ])
        );
    }
}

#[test]
fn service_account_choices() {
    let fixture = Fixture::new();
    assert_eq!(
        refused(
            &fixture,
            json!({"metadata": {"name": "x"}, "spec": {"serviceAccountName": "robot", "containers": []}})
        ),
        "pods \"x\" is forbidden: error looking up service account a/robot: serviceaccount \"robot\" not found"
    );
    fixture.memory.put(
        &SERVICE_ACCOUNTS,
        &json!({
            "metadata": {"namespace": "a", "name": "robot"},
            "automountServiceAccountToken": false,
            "imagePullSecrets": [{"name": "pull"}],
        }),
    );
    let mut asked = pod();
    asked["spec"]["serviceAccount"] = "robot".into();
    let spec = admitted(&fixture, asked.clone());
    assert_eq!(spec["serviceAccountName"], "robot");
    assert_eq!(spec["imagePullSecrets"][0]["name"], "pull");
    assert!(spec["volumes"].is_null());
    asked["spec"]["automountServiceAccountToken"] = true.into();
    asked["spec"]["imagePullSecrets"] = json!([{"name": "own"}]);
    let spec = admitted(&fixture, asked);
    assert_eq!(spec["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "own"}]));
}

#[test]
fn accounts_may_limit_the_secrets_of_their_pods() {
    let fixture = Fixture::new();
    let account = |enforce: &str| {
        json!({
            "metadata": {
                "namespace": "a", "name": "default", "uid": enforce,
                "annotations": {"kubernetes.io/enforce-mountable-secrets": enforce},
            },
            "secrets": [{"name": "own"}], "imagePullSecrets": [{"name": "pull"}],
        })
    };
    let with = |secret: &str, pull: &str| {
        let env = json!([{"name": "e", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]);
        let from = json!([{"secretRef": {"name": secret}}]);
        [
            (
                "/volumes",
                json!([{"name": "v", "secret": {"secretName": secret}}]),
            ),
            ("/containers/0/env", env.clone()),
            ("/containers/0/envFrom", from.clone()),
            ("/initContainers/0/env", env),
            ("/initContainers/0/envFrom", from),
            ("/imagePullSecrets", json!([{"name": pull}])),
        ]
        .map(|(place, value)| {
            let mut pod = pod();
            let (parent, field) = place.rsplit_once('/').unwrap();
            pod.pointer_mut(&format!("/spec{parent}")).unwrap()[field] = value;
            pod
        })
    };
    fixture.memory.put(&SERVICE_ACCOUNTS, &account("true"));
    for asked in with("own", "pull") {
        admitted(&fixture, asked);
    }
    // Upstream does not look into projected volumes.
    let mut projected = pod();
    projected["spec"]["volumes"] =
        json!([{"name": "v", "projected": {"sources": [{"secret": {"name": "other"}}]}}]);
    admitted(&fixture, projected);
    for asked in with("other", "own") {
        let message = refused(&fixture, asked.clone());
        assert!(
            message.contains("is not allowed because service account default does not reference that"),
            "{message} {asked}"
        );
    }
    // The same of a container that is added later.
    let boss = user("boss", &["system:masters"]);
    let mut old = pod();
    old["spec"]["serviceAccountName"] = "default".into();
    let debug = |field: &str, value: Value| {
        let mut new = old.clone();
        new["spec"]["ephemeralContainers"] = json!([{"name": "d", field: value}]);
        let mut question = ask(&boss, Operation::Update, "", "pods");
        (question.subresource, question.old) = ("ephemeralcontainers", Some(&old));
        fixture.ask(question, Some(new)).map_err(|status| status.message)
    };
    assert!(debug("envFrom", json!([{"secretRef": {"name": "own"}}])).is_ok());
    for (field, value) in [
        ("envFrom", json!([{"secretRef": {"name": "other"}}])),
        (
            "env",
            json!([{"name": "e", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]),
        ),
    ] {
        let message = debug(field, value).unwrap_err();
        assert!(message.contains("ephemeral container d with env"), "{message}");
    }

    fixture.memory.put(&SERVICE_ACCOUNTS, &account("false"));
    for asked in with("other", "own") {
        admitted(&fixture, asked);
    }
}

#[test]
fn a_copied_pod_keeps_its_volume_and_own_mounts_stay() {
    let fixture = Fixture::new();
    let first = fixture.create("", "pods", pod()).unwrap();
    assert_eq!(
        fixture.create("", "pods", first.clone()).unwrap()["spec"],
        first["spec"]
    );
    let mut asked = pod();
    for list in ["containers", "initContainers"] {
        asked["spec"][list][0]["volumeMounts"] =
            json!([{"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    }
    let spec = admitted(&fixture, asked);
    assert_eq!(spec["containers"][0]["volumeMounts"].as_array().unwrap().len(), 1);
    assert!(spec["volumes"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn tolerations_are_completed_once() {
    let fixture = Fixture::new();
    let spec = admitted(&fixture, pod());
    assert_eq!(
        spec["tolerations"],
        json!([
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ])
    );
    let mut asked = pod();
    asked["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    assert_eq!(
        admitted(&fixture, asked)["tolerations"],
        json!([{"operator": "Exists"}])
    );
}

#[test]
fn priorities() {
    let fixture = Fixture::new();
    let spec = admitted(&fixture, pod());
    assert_eq!(
        (&spec["priority"], &spec["preemptionPolicy"]),
        (&json!(0), &json!("PreemptLowerPriority"))
    );
    let class = |name: &str, value: i64, default: bool| {
        json!({
            "metadata": {"name": name}, "value": value, "globalDefault": default, "preemptionPolicy": "Never",
        })
    };
    fixture.memory.put(&PRIORITY_CLASSES, &class("high", 1000, false));
    let mut asked = pod();
    asked["spec"]["priorityClassName"] = "high".into();
    let spec = admitted(&fixture, asked.clone());
    assert_eq!(
        (&spec["priority"], &spec["preemptionPolicy"]),
        (&json!(1000), &json!("Never"))
    );
    asked["spec"]["priority"] = 7.into();
    assert!(
        refused(&fixture, asked.clone()).contains("the integer value of priority (7) must not be provided")
    );
    asked["spec"]["priorityClassName"] = "gone".into();
    assert!(refused(&fixture, asked).ends_with("no PriorityClass with name gone was found"));
    fixture.memory.put(&PRIORITY_CLASSES, &class("usual", 5, true));
    let spec = admitted(&fixture, pod());
    assert_eq!(
        (&spec["priority"], &spec["priorityClassName"]),
        (&json!(5), &json!("usual"))
    );
    let error = fixture
        .create("scheduling.k8s.io", "priorityclasses", class("more", 1, true))
        .unwrap_err();
    assert!(
        error
            .message
            .contains("PriorityClass usual is already marked as default")
    );
    assert!(
        fixture
            .create("scheduling.k8s.io", "priorityclasses", class("usual", 1, true))
            .is_ok()
    );
}

#[test]
fn updates_keep_the_priority() {
    let fixture = Fixture::new();
    let old = fixture.create("", "pods", pod()).unwrap();
    let boss = user("boss", &["system:masters"]);
    let mut question = ask(&boss, Operation::Update, "", "pods");
    question.old = Some(&old);
    assert_eq!(fixture.ask(question, Some(pod())).unwrap()["spec"]["priority"], 0);
}

#[test]
fn runtime_classes() {
    let fixture = Fixture::new();
    let mut asked = pod();
    asked["spec"]["runtimeClassName"] = "sandbox".into();
    assert!(refused(&fixture, asked.clone()).ends_with("pod rejected: RuntimeClass \"sandbox\" not found"));
    fixture.memory.put(
        &RUNTIME_CLASSES,
        &json!({
            "metadata": {"name": "sandbox"},
            "overhead": {"podFixed": {"memory": "64Mi"}},
            "scheduling": {"nodeSelector": {"sandbox": "yes"}, "tolerations": [{"key": "sandbox"}]},
        }),
    );
    let spec = admitted(&fixture, asked.clone());
    assert_eq!(spec["overhead"], json!({"memory": "64Mi"}));
    assert_eq!(spec["nodeSelector"], json!({"sandbox": "yes"}));
    assert!(
        spec["tolerations"]
            .as_array()
            .unwrap()
            .contains(&json!({"key": "sandbox"}))
    );
    // An overhead of its own is the class's, however it is written.
    asked["spec"]["overhead"] = json!({"memory": "65536Ki"});
    admitted(&fixture, asked.clone());
    for other in [
        json!({"memory": "1Gi"}),
        json!({"cpu": "64Mi"}),
        json!({"memory": "64Mi", "cpu": "1"}),
    ] {
        asked["spec"]["overhead"] = other;
        assert!(refused(&fixture, asked.clone()).ends_with("doesn't match RuntimeClass's defined Overhead"));
    }
    asked["spec"]["overhead"] = json!(null);
    asked["spec"]["nodeSelector"] = json!({"sandbox": "no"});
    assert!(refused(&fixture, asked).contains("conflict"));
    let mut asked = pod();
    asked["spec"]["overhead"] = json!({"cpu": "1"});
    assert!(refused(&fixture, asked).contains("Pod Overhead set without"));
}

#[test]
fn fields_of_the_wrong_type_do_no_harm() {
    let fixture = Fixture::new();
    for spec in [
        json!("x"),
        json!([]),
        json!(7),
        json!({"containers": "x", "volumes": 1, "tolerations": {}}),
        json!({"containers": ["x", null, {"volumeMounts": "x"}]}),
        json!({"containers": [{"volumeMounts": [null]}], "volumes": [null], "nodeSelector": 1, "imagePullSecrets": "x"}),
        json!({"overhead": "x", "priority": "x", "runtimeClassName": 3}),
    ] {
        let _ = fixture.create(
            "",
            "pods",
            json!({"metadata": {"name": "x", "annotations": "x"}, "spec": spec}),
        );
        let _ = fixture.create("", "services", json!({"spec": spec}));
    }
    for object in [json!("x"), json!(null), json!([])] {
        for plural in ["pods", "services", "nodes", "persistentvolumeclaims"] {
            let _ = fixture.create("", plural, object.clone());
        }
    }
}

#[test]
fn limit_ranges_fill_in_and_refuse() {
    let fixture = Fixture::new();
    fixture.memory.put(
        &crate::auth::resources::LIMIT_RANGES,
        &json!({
            "metadata": {"namespace": "a", "name": "l"},
            "spec": {"limits": [
                {
                    "type": "Container",
                    "default": {"cpu": "500m", "memory": "64Mi"},
                    "defaultRequest": {"cpu": "100m"},
                    "max": {"cpu": "1"},
                    "min": {"cpu": "50m"},
                    "maxLimitRequestRatio": {"cpu": "5"},
                },
                {"type": "Pod", "max": {"cpu": "1500m"}},
            ]},
        }),
    );
    let with = |resources: Value| {
        json!({
            "metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "resources": resources}]},
        })
    };
    let given = fixture.create("", "pods", with(json!({}))).unwrap();
    assert_eq!(
        given["spec"]["containers"][0]["resources"],
        json!({
            "limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m"},
        })
    );
    assert_eq!(
        given["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu, memory limit for container c"
    );
    let own = json!({"limits": {"cpu": "300m", "memory": "1Mi"}, "requests": {"cpu": "200m"}});
    assert_eq!(
        fixture.create("", "pods", with(own.clone())).unwrap()["spec"]["containers"][0]["resources"],
        own
    );
    for (resources, text) in [
        (
            json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}),
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            json!({"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}),
            "minimum cpu usage per Container is 50m, but request is 10m",
        ),
        (
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}),
            "cpu max limit to request ratio per Container is 5, but provided ratio is 10.000000",
        ),
    ] {
        let message = refused(&fixture, with(resources));
        assert!(message.contains(text), "{message}");
    }
    let two = json!({"metadata": {"name": "x"}, "spec": {"containers": [
        {"name": "a", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}},
        {"name": "b", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}},
    ]}});
    assert!(refused(&fixture, two).contains("maximum cpu usage per Pod is 1500m, but limit is 2"));
}

#[test]
fn pod_security_labels() {
    let fixture = Fixture::new();
    fixture.memory.put(
        &crate::auth::resources::NAMESPACES,
        &json!({
            "metadata": {"name": "a", "labels": {
                "pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/enforce-version": "v1.33",
                "pod-security.kubernetes.io/warn": "restricted",
            }},
        }),
    );
    let mut asked = pod();
    asked["spec"]["hostNetwork"] = true.into();
    assert_eq!(
        refused(&fixture, asked.clone()),
        "pods \"x\" is forbidden: violates PodSecurity \"baseline:v1.33\": host namespaces (hostNetwork=true)"
    );
    assert!(fixture.create("", "pods", pod()).is_ok());
    // Templates are only warned about.
    assert!(
        fixture
            .create("apps", "deployments", json!({"spec": {"template": asked}}))
            .is_ok()
    );
    // What is there may change its labels.
    let boss = user("boss", &["system:masters"]);
    let elsewhere = Fixture::new();
    let there = elsewhere.create("", "pods", asked).unwrap();
    let mut question = ask(&boss, Operation::Update, "", "pods");
    question.old = Some(&there);
    let mut labelled = there.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(fixture.ask(question, Some(labelled.clone())), Ok(labelled));
    question.subresource = "ephemeralcontainers";
    let mut worse = pod();
    worse["spec"]["ephemeralContainers"] = json!([{"name": "e", "securityContext": {"privileged": true}}]);
    assert!(fixture.ask(question, Some(worse)).is_err());
}

#[test]
fn pod_security_labels_are_checked_and_warn_about_what_is_there() {
    let fixture = Fixture::new();
    let boss = user("boss", &["system:masters"]);
    let mut question = ask(&boss, Operation::Create, "", "namespaces");
    (question.namespace, question.name) = ("", "a");
    let namespace = |labels: Value| json!({"metadata": {"name": "a", "labels": labels}});
    for (key, value) in [("enforce", "typo"), ("warn", ""), ("audit-version", "1.20")] {
        let error = fixture.ask(
            question,
            Some(namespace(
                json!({format!("pod-security.kubernetes.io/{key}"): value}),
            )),
        );
        assert_eq!(error.unwrap_err().code, 422, "{key}");
    }
    for name in ["p1", "p2"] {
        let mut there = pod();
        there["metadata"]["name"] = name.into();
        there["metadata"]["uid"] = name.into();
        there["spec"]["hostNetwork"] = true.into();
        fixture.memory.put(&crate::auth::resources::PODS, &there);
    }
    let old = namespace(json!({}));
    let kind = super::kind("", "namespaces");
    let mut new = namespace(json!({"pod-security.kubernetes.io/enforce": "baseline"}));
    let request = crate::admission::Request {
        user: &boss,
        operation: Operation::Update,
        kind: &kind,
        subresource: "",
        namespace: "",
        name: "a",
        old: Some(&old),
        object: Some(&mut new),
        dry_run: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let warnings = runtime.block_on(fixture.chain.validate(&request)).unwrap();
    assert_eq!(
        warnings,
        [
            "existing pods in namespace \"a\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "p1 (and 1 other pod): host namespaces",
        ]
    );
}

#[test]
fn limit_ranges_do_not_make_pods_huge() {
    let fixture = Fixture::new();
    let amounts: serde_json::Map<String, Value> = (0..50_000)
        .map(|n| (format!("example.com/r{n}"), "1".into()))
        .collect();
    let limits = json!([{"type": "Container", "default": amounts, "defaultRequest": amounts}]);
    fixture.memory.put(
        &crate::auth::resources::LIMIT_RANGES,
        &json!({"metadata": {"namespace": "a", "name": "l"}, "spec": {"limits": limits}}),
    );
    let containers = vec![json!({"name": "c"}); 30_000];
    let pod = json!({"metadata": {"name": "x"}, "spec": {"containers": containers}});
    assert!(refused(&fixture, pod).contains("too many resources for a pod of 30000 containers"));
}
