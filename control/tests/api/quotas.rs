//! ResourceQuotas: what the conformance suite's rows describe, with pods that nobody runs.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn quota(name: &str, hard: &Value, scopes: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "labels": {"test": "quota"}},
        "spec": {"hard": hard, "scopes": scopes},
    })
}

fn pod(name: &str, requests: &Value, limits: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{
            "name": "pause", "image": "pause", "resources": {"requests": requests, "limits": limits},
        }]},
    })
}

impl Cluster {
    #[track_caller]
    fn made(&self, path: &str, object: &Value) -> Value {
        let (code, made) = self.post(path, object);
        assert_eq!(code, 201, "{made}");
        made
    }

    #[track_caller]
    fn gone(&self, path: &str) {
        let (code, answer) = self.delete(path, &json!({"gracePeriodSeconds": 0}));
        assert_eq!(code, 200, "{answer}");
    }

    /// Waits until the quota's status names its limits and these used amounts; others are not looked at.
    #[track_caller]
    fn uses(&self, name: &str, used: &Value) {
        self.eventually(&format!("{name} uses {used}"), |cluster| {
            let (_, quota) = cluster.get(&format!("{QUOTAS}/{name}"));
            let amounts = used.as_object().unwrap();
            quota["status"]["hard"] == quota["spec"]["hard"]
                && amounts
                    .iter()
                    .all(|(key, amount)| quota["status"]["used"][key] == *amount)
        });
    }
}

/// Every resource that the suite's own quota limits, of which a new namespace uses two.
#[test]
fn a_status_is_calculated_promptly() {
    let cluster = Cluster::start();
    cluster.eventually("the authority is published", |cluster| {
        cluster
            .get(&format!("{}/kube-root-ca.crt", crate::cluster::MAPS))
            .0
            == 200
    });
    let hard = json!({
        "pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1",
        "replicationcontrollers": "10", "resourcequotas": "1", "cpu": "1", "memory": "500Mi", "configmaps": "10",
        "secrets": "10", "persistentvolumeclaims": "10", "requests.ephemeral-storage": "50Gi",
        "requests.storage": "10Gi", "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "10",
        "gold.storageclass.storage.k8s.io/requests.storage": "10Gi", "count/replicasets.apps": "5",
        "requests.example.com/dongle": "3",
    });
    cluster.made(QUOTAS, &quota("test", &hard, &[]));
    let mut used: Value = hard
        .as_object()
        .unwrap()
        .keys()
        .map(|key| (key.clone(), json!("0")))
        .collect();
    used["resourcequotas"] = "1".into();
    used["configmaps"] = "1".into();
    // The `kubernetes` Service.
    used["services"] = "1".into();
    cluster.uses("test", &used);
    let (_, status) = cluster.get(&format!("{QUOTAS}/test"));
    assert_eq!(status["status"]["used"], used, "nothing else");
    let shown = cluster.kubectl(&["describe", "quota", "test"]).ok();
    assert!(shown.contains("count/replicasets.apps"), "{shown}");
    assert!(
        cluster
            .kubectl(&["get", "quota"])
            .ok()
            .contains("resourcequotas: 1/1")
    );
}

/// configMap, secret, replica set, replication controller and claim; each counts from its creation to its deletion.
#[test]
fn a_quota_follows_the_life_of_objects() {
    let cluster = Cluster::start();
    let template = json!({
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let claim = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "gold",
        "resources": {"requests": {"storage": "1Gi"}}});
    let cases = [
        (
            "/api/v1",
            "secrets",
            "Secret",
            "secrets",
            json!({"data": {"k": "dg=="}}),
        ),
        (
            "/api/v1",
            "configmaps",
            "ConfigMap",
            "configmaps",
            json!({"data": {"k": "v"}}),
        ),
        (
            "/apis/apps/v1",
            "replicasets",
            "ReplicaSet",
            "count/replicasets.apps",
            json!({"spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}}),
        ),
        (
            "/api/v1",
            "replicationcontrollers",
            "ReplicationController",
            "replicationcontrollers",
            json!({"spec": {"replicas": 0, "selector": {"a": "b"}, "template": template}}),
        ),
        (
            "/api/v1",
            "persistentvolumeclaims",
            "PersistentVolumeClaim",
            "gold.storageclass.storage.k8s.io/persistentvolumeclaims",
            json!({"spec": claim}),
        ),
    ];
    let hard: Value = cases
        .iter()
        .map(|(_, _, _, key, _)| ((*key).to_owned(), json!("2")))
        .collect();
    cluster.made(QUOTAS, &quota("test", &hard, &[]));
    for (root, plural, kind, key, body) in cases {
        // The ConfigMap of the authority is there already.
        let (before, after) = if plural == "configmaps" {
            ("1", "2")
        } else {
            ("0", "1")
        };
        cluster.uses("test", &json!({ key: before }));
        let collection = format!("{root}/namespaces/default/{plural}");
        let mut object = body.clone();
        object["apiVersion"] = root
            .rsplit("/api/")
            .next()
            .unwrap()
            .trim_start_matches("/apis/")
            .into();
        object["kind"] = kind.into();
        object["metadata"] = json!({"name": "one"});
        cluster.made(&collection, &object);
        cluster.uses("test", &json!({ key: after }));
        if plural == "configmaps" {
            object["metadata"]["name"] = "two".into();
            let (code, refused) = cluster.post(&collection, &object);
            assert_eq!(code, 403);
            assert_eq!(
                refused["message"],
                "configmaps \"two\" is forbidden: exceeded quota: test, requested: configmaps=1, used: configmaps=2, \
                 limited: configmaps=2"
            );
        }
        cluster.gone(&format!("{collection}/one"));
        cluster.uses("test", &json!({ key: before }));
    }
}

#[test]
fn a_quota_follows_the_life_of_services() {
    let cluster = Cluster::start();
    let services = "/api/v1/namespaces/default/services";
    let hard = json!({"services": "4", "services.nodeports": "1", "services.loadbalancers": "1"});
    cluster.made(QUOTAS, &quota("test", &hard, &[]));
    let used = |all: &str, node_ports: &str, balancers: &str| json!({"services": all, "services.nodeports": node_ports, "services.loadbalancers": balancers});
    cluster.uses("test", &used("1", "0", "0"));
    let service = |name: &str, kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}},
        })
    };
    cluster.made(services, &service("plain", "ClusterIP"));
    cluster.made(services, &service("node", "NodePort"));
    cluster.uses("test", &used("3", "1", "0"));
    let (code, refused) = cluster.post(services, &service("balanced", "LoadBalancer"));
    assert_eq!(code, 403, "its node port is one too many: {refused}");
    cluster.gone(&format!("{services}/node"));
    cluster.uses("test", &used("2", "0", "0"));
    cluster.made(services, &service("balanced", "LoadBalancer"));
    cluster.uses("test", &used("3", "1", "1"));
    cluster.gone(&format!("{services}/balanced"));
    cluster.gone(&format!("{services}/plain"));
    cluster.uses("test", &used("1", "0", "0"));
}

#[test]
fn a_quota_follows_the_life_of_a_pod() {
    let cluster = Cluster::start();
    let hard = json!({
        "pods": "5", "cpu": "1", "memory": "500Mi", "requests.ephemeral-storage": "50Gi",
        "requests.example.com/dongle": "3",
    });
    cluster.made(QUOTAS, &quota("test", &hard, &[]));
    let none = json!({
        "pods": "0", "cpu": "0", "memory": "0", "requests.ephemeral-storage": "0", "requests.example.com/dongle": "0",
    });
    cluster.uses("test", &none);
    let dongle = json!({"example.com/dongle": "2"});
    let mut requests =
        json!({"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"});
    cluster.made(PODS, &pod("first", &requests, &dongle));
    let one = json!({
        "pods": "1", "cpu": "500m", "memory": "252Mi", "requests.ephemeral-storage": "30Gi",
        "requests.example.com/dongle": "2",
    });
    cluster.uses("test", &one);
    requests["cpu"] = "600m".into();
    requests["memory"] = "100Mi".into();
    requests["ephemeral-storage"] = "1Gi".into();
    let mut large = pod("large", &requests, &dongle);
    large["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "600m", "memory": "100Mi"}});
    let (code, refused) = cluster.post(PODS, &large);
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "pods \"large\" is forbidden: exceeded quota: test, requested: cpu=600m, used: cpu=500m, limited: cpu=1"
    );
    let greedy = pod(
        "greedy",
        &json!({"cpu": "1m", "memory": "1Mi", "example.com/dongle": "2"}),
        &dongle,
    );
    let (code, refused) = cluster.post(PODS, &greedy);
    assert_eq!(code, 403, "{refused}");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("requests.example.com/dongle=2"),
        "{refused}"
    );
    // What a pod asks for cannot be changed afterwards.
    let (_, mut first) = cluster.get(&format!("{PODS}/first"));
    first["spec"]["containers"][0]["resources"]["requests"]["ephemeral-storage"] = "40Gi".into();
    // The scheduler may have written its status meanwhile.
    first["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let (code, refused) = cluster.put(&format!("{PODS}/first"), &first);
    assert_eq!(code, 422, "{refused}");
    cluster.uses("test", &one);
    cluster.gone(&format!("{PODS}/first"));
    cluster.uses("test", &none);
}

#[test]
fn best_effort_pods_count_for_quotas_about_them() {
    let cluster = Cluster::start();
    cluster.made(
        QUOTAS,
        &quota("best-effort", &json!({"pods": "5"}), &["BestEffort"]),
    );
    cluster.made(
        QUOTAS,
        &quota("not-best-effort", &json!({"pods": "5"}), &["NotBestEffort"]),
    );
    let both = |best: &str, other: &str| {
        cluster.uses("best-effort", &json!({"pods": best}));
        cluster.uses("not-best-effort", &json!({"pods": other}));
    };
    both("0", "0");
    cluster.made(PODS, &pod("plain", &json!({}), &json!({})));
    both("1", "0");
    cluster.gone(&format!("{PODS}/plain"));
    both("0", "0");
    let amounts = json!({"cpu": "500m", "memory": "200Mi"});
    cluster.made(
        PODS,
        &pod("burstable", &amounts, &json!({"cpu": "1", "memory": "400Mi"})),
    );
    both("0", "1");
    cluster.gone(&format!("{PODS}/burstable"));
    both("0", "0");
}

#[test]
fn pods_that_end_by_themselves_count_for_quotas_about_them() {
    let cluster = Cluster::start();
    let hard = json!({
        "pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "2Gi",
    });
    cluster.made(QUOTAS, &quota("terminating", &hard, &["Terminating"]));
    cluster.made(QUOTAS, &quota("not-terminating", &hard, &["NotTerminating"]));
    let none = json!({
        "pods": "0", "requests.cpu": "0", "requests.memory": "0", "limits.cpu": "0", "limits.memory": "0",
    });
    let one = json!({
        "pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi",
    });
    let (requests, limits) = (
        json!({"cpu": "500m", "memory": "200Mi"}),
        json!({"cpu": "1", "memory": "400Mi"}),
    );
    cluster.uses("terminating", &none);
    cluster.uses("not-terminating", &none);
    cluster.made(PODS, &pod("long", &requests, &limits));
    cluster.uses("not-terminating", &one);
    cluster.uses("terminating", &none);
    cluster.gone(&format!("{PODS}/long"));
    cluster.uses("not-terminating", &none);
    let mut short = pod("short", &requests, &limits);
    short["spec"]["activeDeadlineSeconds"] = 3600.into();
    cluster.made(PODS, &short);
    cluster.uses("terminating", &one);
    cluster.uses("not-terminating", &none);
    cluster.gone(&format!("{PODS}/short"));
    cluster.uses("terminating", &none);
}

/// A pod that has ended holds nothing although it is still there.
#[test]
fn an_ended_pod_gives_back_what_it_had() {
    let cluster = Cluster::start();
    cluster.made(
        QUOTAS,
        &quota("test", &json!({"pods": "1", "count/pods": "5"}), &[]),
    );
    cluster.made(PODS, &pod("one", &json!({}), &json!({})));
    cluster.uses("test", &json!({"pods": "1", "count/pods": "1"}));
    assert_eq!(cluster.post(PODS, &pod("two", &json!({}), &json!({}))).0, 403);
    let ended = json!({"status": {"phase": "Succeeded"}});
    let (code, answer) = cluster.patch(&format!("{PODS}/one/status"), "merge-patch+json", &ended);
    assert_eq!(code, 200, "{answer}");
    cluster.uses("test", &json!({"pods": "0", "count/pods": "1"}));
    cluster.made(PODS, &pod("two", &json!({}), &json!({})));
}

#[test]
fn quotas_are_listed_patched_updated_and_deleted() {
    let cluster = Cluster::start();
    cluster.kubectl(&["create", "namespace", "other"]).ok();
    let hard = json!({"cpu": "1", "memory": "500Mi"});
    cluster.made(QUOTAS, &quota("test", &hard, &[]));
    cluster.made(
        "/api/v1/namespaces/other/resourcequotas",
        &quota("test", &hard, &[]),
    );
    let all = "/api/v1/resourcequotas?labelSelector=test%3Dquota";
    assert_eq!(cluster.get(all).1["items"].as_array().unwrap().len(), 2);
    let one = format!("{QUOTAS}/test");
    let patch = json!({"metadata": {"labels": {"test": "patched"}}, "spec": {"hard": {"memory": "750Mi"}}});
    let (code, patched) = cluster.patch(&one, "strategic-merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["metadata"]["labels"]["test"]),
        (200, &json!("patched"))
    );
    assert_eq!(patched["spec"]["hard"], json!({"cpu": "1", "memory": "750Mi"}));
    cluster.uses("test", &json!({"cpu": "0", "memory": "0"}));
    let (_, mut found) = cluster.get(&one);
    found["spec"]["hard"] = json!({"cpu": "500m", "memory": "1Gi"});
    let (code, updated) = cluster.put(&one, &found);
    assert_eq!((code, &updated["spec"]), (200, &found["spec"]));
    cluster.uses("test", &json!({"cpu": "0", "memory": "0"}));
    cluster.gone(&format!("{QUOTAS}?labelSelector=test%3Dpatched"));
    assert_eq!(cluster.get(&one).0, 404);
    assert_eq!(cluster.get("/api/v1/namespaces/other/resourcequotas/test").0, 200);
}

#[test]
fn a_status_may_be_written_and_follows_the_spec_again() {
    let cluster = Cluster::start();
    let hard = json!({"cpu": "500m", "memory": "500Mi"});
    let mut spec_only = quota("test", &hard, &[]);
    spec_only["spec"].as_object_mut().unwrap().remove("scopes");
    cluster.made(QUOTAS, &spec_only);
    let one = format!("{QUOTAS}/test");
    let status = format!("{one}/status");
    cluster.uses("test", &json!({"cpu": "0"}));
    let (_, mut found) = cluster.get(&one);
    found["status"] = json!({"hard": {"cpu": "1"}});
    found["spec"]["hard"]["cpu"] = "9".into();
    let (code, updated) = cluster.put(&status, &found);
    assert_eq!((code, &updated["status"]["hard"]["cpu"]), (200, &json!("1")));
    assert_eq!(
        updated["spec"]["hard"], hard,
        "the spec is not the status's to change"
    );
    // It is calculated anew.
    cluster.uses("test", &json!({"cpu": "0", "memory": "0"}));
    let patch = json!({"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}});
    assert_eq!(cluster.patch(&one, "strategic-merge-patch+json", &patch).0, 200);
    cluster.uses("test", &json!({"cpu": "0", "memory": "0"}));
    let (code, read) = cluster.get(&status);
    let limits = json!({"cpu": "1", "memory": "1Gi"});
    assert_eq!(
        (code, &read["spec"]["hard"], &read["status"]["hard"]),
        (200, &limits, &limits)
    );
    for cpu in ["2", "3"] {
        let patch = json!({"status": {"hard": {"cpu": cpu, "memory": "2Gi"}}});
        let (code, patched) = cluster.patch(&status, "strategic-merge-patch+json", &patch);
        assert_eq!((code, &patched["status"]["hard"]["cpu"]), (200, &json!(cpu)));
        assert_eq!(patched["spec"]["hard"], limits);
    }
    cluster.uses("test", &json!({"cpu": "0", "memory": "0"}));
}

#[test]
fn quotas_that_make_no_sense_are_refused() {
    let cluster = Cluster::start();
    let refused = |hard: Value, scopes: &[&str], part: &str| {
        let (code, status) = cluster.post(QUOTAS, &quota("test", &hard, scopes));
        assert_eq!(code, 422, "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
    };
    let pods = || json!({"pods": "1"});
    refused(
        json!({"gadgets": "1"}),
        &[],
        "spec.hard[gadgets]: Invalid value: \"gadgets\": must be a standard resource for quota",
    );
    refused(json!({"pods": "-1"}), &[], "must be greater than or equal to 0");
    refused(json!({"pods": "1500m"}), &[], "must be an integer");
    refused(pods(), &["BestEffort", "NotBestEffort"], "conflicting scopes");
    refused(pods(), &["Terminating", "NotTerminating"], "conflicting scopes");
    refused(
        json!({"cpu": "1"}),
        &["BestEffort"],
        "unsupported scope applied to resource",
    );
    refused(
        json!({"services": "1"}),
        &["Terminating"],
        "unsupported scope applied to resource",
    );
    refused(pods(), &["Sometimes"], "unsupported scope");
    cluster.made(QUOTAS, &quota("test", &pods(), &["Terminating"]));
    let (_, mut found) = cluster.get(&format!("{QUOTAS}/test"));
    found["spec"]["scopes"] = json!(["NotTerminating"]);
    // Whatever the controller has written to its status meanwhile.
    found["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let (code, status) = cluster.put(&format!("{QUOTAS}/test"), &found);
    assert_eq!(code, 422);
    assert!(
        status["message"].as_str().unwrap().contains("field is immutable"),
        "{status}"
    );
}
