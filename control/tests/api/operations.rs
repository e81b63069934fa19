//! The verbs of kinds one after the other, as the conformance suite tries each kind's API.

use futures::{AsyncBufReadExt, TryStreamExt};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::cluster::{Cluster, runtime};

/// A kind to try: where it is, what is made, and what its status becomes if it has one.
struct Case {
    group_version: &'static str,
    plural: &'static str,
    namespaced: bool,
    body: Value,
    status: Value,
    /// A field that can be changed besides the metadata.
    change: Option<(&'static str, Value)>,
}

impl Case {
    fn new(group_version: &'static str, plural: &'static str, body: Value) -> Self {
        Self {
            group_version,
            plural,
            namespaced: true,
            body,
            status: Value::Null,
            change: None,
        }
    }

    fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    fn status(mut self, status: Value) -> Self {
        self.status = status;
        self
    }

    fn change(mut self, pointer: &'static str, value: Value) -> Self {
        self.change = Some((pointer, value));
        self
    }

    fn root(&self) -> String {
        if self.group_version == "v1" {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{}", self.group_version)
        }
    }

    fn all(&self) -> String {
        format!("{}/{}", self.root(), self.plural)
    }

    fn path(&self) -> String {
        if self.namespaced {
            format!("{}/namespaces/default/{}", self.root(), self.plural)
        } else {
            self.all()
        }
    }

    /// Names of its own: what happens to a Service happens to the Endpoints of its name.
    fn name(&self, letter: &str) -> String {
        format!("{}-{letter}", self.plural)
    }

    fn object(&self, letter: &str) -> Value {
        let mut object = self.body.clone();
        object["metadata"]["name"] = self.name(letter).into();
        object["metadata"]["labels"] = json!({"special": self.plural});
        object
    }
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

/// Reads a watch of the selected objects from a revision on until it has brought all of these, as (event, name). (Not until
/// the server ends it: that would take a second or more of each.)
#[track_caller]
fn happened(cluster: &Cluster, case: &Case, since: &str, expected: &[(&str, &str)]) {
    let path = format!(
        "{}?watch=1&timeoutSeconds=20&resourceVersion={since}&labelSelector=special%3D{}",
        case.path(),
        case.plural
    );
    let mut missing = expected.to_vec();
    let mut seen = Vec::new();
    runtime().block_on(async {
        let request = Request::get(path).body(Vec::new()).unwrap();
        let lines = cluster
            .client()
            .await
            .request_stream(request)
            .await
            .unwrap()
            .lines();
        let mut lines = std::pin::pin!(lines);
        while !missing.is_empty() {
            // The server ends it after twenty seconds.
            let Some(line) = lines.try_next().await.unwrap() else {
                panic!("{}: {missing:?} are missing from {seen:?}", case.plural);
            };
            let event: Value = serde_json::from_str(&line).unwrap();
            let (kind, name) = (&event["type"], &event["object"]["metadata"]["name"]);
            missing.retain(|(wanted, of)| kind != wanted || name != of);
            seen.push(format!("{kind} {name}"));
        }
    });
}

fn discovered(cluster: &Cluster, case: &Case) {
    if let Some((group, version)) = case.group_version.split_once('/') {
        let (_, groups) = cluster.get("/apis");
        let found = groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == group);
        assert!(found, "{group}");
        let (_, one) = cluster.get(&format!("/apis/{group}"));
        let served = one["versions"].as_array().unwrap();
        assert!(served.iter().any(|one| one["version"] == version), "{one}");
    }
    let (_, resources) = cluster.get(&case.root());
    let find = |name: &str| {
        let all = resources["resources"].as_array().unwrap();
        all.iter()
            .find(|one| one["name"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name}"))
    };
    let verbs = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    assert_eq!(find(case.plural)["verbs"], verbs);
    if !case.status.is_null() {
        let verbs = json!(["get", "patch", "update"]);
        assert_eq!(find(&format!("{}/status", case.plural))["verbs"], verbs);
    }
}

/// Gets the object again and puts it with a change, until nobody else was faster.
fn replace(cluster: &Cluster, path: &str, change: impl Fn(&mut Value)) -> Value {
    for _ in 0..20 {
        let (code, mut object) = cluster.get(path);
        assert_eq!(code, 200, "{path}: {object}");
        change(&mut object);
        match cluster.put(path, &object) {
            (200, updated) => return updated,
            (409, _) => {}
            (code, status) => panic!("{path}: {code}: {status}"),
        }
    }
    panic!("{path}: always in conflict");
}

fn operate(cluster: &Cluster, case: &Case) {
    discovered(cluster, case);
    let path = case.path();
    let since = cluster.get(&path).1["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let selected = |path: &str| format!("{path}?labelSelector=special%3D{}", case.plural);
    let all = ["a", "b", "c"].map(|letter| case.name(letter));
    for name in ["a", "b", "c"] {
        let (code, created) = cluster.post(&path, &case.object(name));
        assert_eq!(code, 201, "{}: {created}", case.plural);
    }
    let a = format!("{path}/{}", all[0]);
    assert_eq!(cluster.get(&a).1["metadata"]["name"], all[0]);
    for path in [&path, &case.all()] {
        assert_eq!(names(&cluster.get(&selected(path)).1), all, "{path}");
    }
    let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
    let (code, patched) = cluster.patch(&a, "merge-patch+json", &patch);
    assert_eq!(
        (code, patched["metadata"]["annotations"]["patched"].as_str()),
        (200, Some("true")),
        "{patched}"
    );
    let updated = replace(cluster, &a, |object| {
        object["metadata"]["annotations"]["updated"] = "true".into();
        if let Some((pointer, value)) = &case.change {
            *object.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        }
    });
    assert_eq!(updated["metadata"]["annotations"]["updated"], "true");
    if let Some((pointer, value)) = &case.change {
        assert_eq!(updated.pointer(pointer), Some(value));
    }
    if !case.status.is_null() {
        status(cluster, case, &a);
    }
    let [first, second, third] = all.each_ref().map(String::as_str);
    let began = [
        ("ADDED", first),
        ("ADDED", second),
        ("ADDED", third),
        ("MODIFIED", first),
    ];
    happened(cluster, case, &since, &began);
    let options = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
    let (code, answer) = cluster.delete(&a, &options);
    assert!(matches!(code, 200 | 202), "{}: {answer}", case.plural);
    cluster.eventually("a is gone", |cluster| cluster.get(&a).0 == 404);
    assert_eq!(names(&cluster.get(&selected(&path)).1), all[1..]);
    let (code, _) = cluster.delete(&selected(&path), &options);
    assert_eq!(code, 200);
    cluster.eventually("all are gone", |cluster| {
        names(&cluster.get(&selected(&path)).1).is_empty()
    });
    happened(
        cluster,
        case,
        &since,
        &all.each_ref().map(|name| ("DELETED", name.as_str())),
    );
}

/// Reads, patches and puts the status.
fn status(cluster: &Cluster, case: &Case, object: &str) {
    let path = format!("{object}/status");
    let patch = json!({"metadata": {"annotations": {"patchedstatus": "true"}}, "status": case.status});
    let (code, patched) = cluster.patch(&path, "merge-patch+json", &patch);
    assert_eq!(code, 200, "{path}: {patched}");
    let given = case.status.as_object().unwrap();
    // Controllers add conditions of their own.
    let has = |found: &Value, wanted: &Value| match (found.as_array(), wanted.as_array()) {
        (Some(found), Some(wanted)) => wanted.iter().all(|one| found.contains(one)),
        _ => found == wanted,
    };
    let is = |object: &Value| {
        given
            .iter()
            .all(|(field, value)| has(&object["status"][field], value))
    };
    assert!(is(&patched), "{patched}");
    let put = replace(cluster, &path, |object| {
        // A controller's count of collisions must not go back.
        let collisions = object["status"].get("collisionCount").cloned();
        object["status"] = case.status.clone();
        if let Some(collisions) = collisions {
            object["status"]["collisionCount"] = collisions;
        }
    });
    assert!(is(&put), "{put}");
    // The main resource does not write it.
    let (code, kept) = cluster.patch(object, "merge-patch+json", &json!({"status": null}));
    assert_eq!(code, 200, "{kept}");
    assert!(is(&kept) && is(&cluster.get(&path).1), "{kept}");
}

fn template(restart: &str) -> Value {
    json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}})
}

fn conditions() -> Value {
    json!({"conditions": [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}]})
}

/// The same with a time: budgets are one of the kinds whose conditions must have one.
fn dated(mut status: Value) -> Value {
    status["conditions"][0]["lastTransitionTime"] = json!("2024-01-01T00:00:00Z");
    status
}

#[test]
fn workloads_have_all_their_verbs() {
    let cluster = Cluster::start();
    let selector = json!({"matchLabels": {"app": "x"}});
    let workload = |fields: Value| {
        let mut spec = json!({"selector": selector, "template": template("Always")});
        spec.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    let none = json!({"replicas": 0});
    let job = json!({"suspend": true, "template": template("Never")});
    for case in [
        Case::new("apps/v1", "deployments", workload(none.clone())).change("/spec/revisionHistoryLimit", json!(5)).status(conditions()),
        Case::new("apps/v1", "replicasets", workload(none.clone())).status(conditions()),
        Case::new("apps/v1", "statefulsets", workload(json!({"replicas": 0, "serviceName": "s"}))).status(conditions()),
        Case::new("apps/v1", "daemonsets", workload(json!({}))).status(conditions()),
        Case::new("apps/v1", "controllerrevisions", json!({"revision": 1, "data": {"a": "b"}})).change("/revision", json!(2)),
        Case::new("v1", "replicationcontrollers", json!({"spec": {"replicas": 0, "selector": {"app": "x"}, "template": template("Always")}}))
            .status(conditions()),
        Case::new("v1", "podtemplates", json!({"template": template("Always")})),
        Case::new("batch/v1", "jobs", json!({ "spec": job })).status(conditions()),
        Case::new("batch/v1", "cronjobs", json!({"spec": {"schedule": "* */1 * * ?", "suspend": true, "jobTemplate": {"spec": {"template": template("Never")}}}}))
            .status(json!({"lastScheduleTime": "2024-01-01T00:00:00Z"})),
        Case::new("policy/v1", "poddisruptionbudgets", json!({"spec": {"minAvailable": 1, "selector": selector}}))
            .change("/spec/minAvailable", json!(2))
            .status(dated(conditions())),
        Case::new("autoscaling/v2", "horizontalpodautoscalers", json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}}))
            .status(json!({"desiredReplicas": 2})),
    ] {
        operate(&cluster, &case);
    }
}

#[test]
fn networks_have_all_their_verbs() {
    let cluster = Cluster::start();
    let service = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    let balanced = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.1", "ipMode": "VIP"}]}});
    for case in [
        Case::new("v1", "services", service).status(balanced),
        Case::new("v1", "endpoints", json!({"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80}]}]}))
            .change("/subsets/0/addresses/0/ip", json!("10.0.0.25")),
        Case::new("discovery.k8s.io/v1", "endpointslices", json!({"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}]}))
            .change("/endpoints/0/addresses/0", json!("1.2.3.5")),
        Case::new("networking.k8s.io/v1", "ingresses", json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}))
            .status(json!({"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}})),
        Case::new("networking.k8s.io/v1", "ingressclasses", json!({"spec": {"controller": "example.com/controller"}})).cluster(),
        Case::new("networking.k8s.io/v1", "networkpolicies", json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}})),
        Case::new("v1", "configmaps", json!({"data": {"a": "b"}})).change("/data/a", json!("c")),
        Case::new("v1", "secrets", json!({"stringData": {"a": "b"}})).change("/data/a", json!("Yw==")),
        Case::new("v1", "serviceaccounts", json!({"automountServiceAccountToken": false})).change("/automountServiceAccountToken", json!(true)),
        Case::new("v1", "limitranges", json!({"spec": {"limits": []}})),
        Case::new("v1", "pods", json!({"spec": {"schedulerName": "none", "containers": [{"name": "c", "image": "i"}]}}))
            .change("/spec/containers/0/image", json!("j"))
            .status(json!({"message": "Patched by a test", "reason": "E2E"})),
        Case::new("coordination.k8s.io/v1", "leases", json!({"spec": {"holderIdentity": "a"}})).change("/spec/holderIdentity", json!("b")),
        Case::new("rbac.authorization.k8s.io/v1", "roles", json!({"rules": []})),
    ] {
        operate(&cluster, &case);
    }
}

#[test]
fn cluster_scoped_kinds_have_all_their_verbs() {
    let cluster = Cluster::start();
    let storage = "storage.k8s.io/v1";
    let admission = "admissionregistration.k8s.io/v1";
    let level = json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}});
    let policy = json!({"matchConstraints": {"resourceRules": [{"operations": ["CREATE"], "apiGroups": ["none.example.com"],
        "apiVersions": ["v1"], "resources": ["nothings"]}]}, "validations": [{"expression": "true"}]});
    for case in [
        Case::new("node.k8s.io/v1", "runtimeclasses", json!({"handler": "h"})).cluster(),
        Case::new(
            "scheduling.k8s.io/v1",
            "priorityclasses",
            json!({"value": 1, "description": "d"}),
        )
        .cluster()
        .change("/description", json!("e")),
        Case::new(storage, "csidrivers", json!({"spec": {"attachRequired": false}}))
            .cluster()
            .change("/spec/requiresRepublish", json!(true)),
        Case::new(storage, "csinodes", json!({"spec": {"drivers": []}})).cluster(),
        Case::new(
            storage,
            "csistoragecapacities",
            json!({"storageClassName": "s", "capacity": "1Gi"}),
        )
        .change("/capacity", json!("2Gi")),
        Case::new(storage, "storageclasses", json!({"provisioner": "example.com/p"})).cluster(),
        Case::new(
            storage,
            "volumeattachments",
            json!({"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "p"}}}),
        )
        .cluster()
        .status(json!({"attached": true})),
        Case::new(
            "flowcontrol.apiserver.k8s.io/v1",
            "flowschemas",
            json!({"spec": {"matchingPrecedence": 9000, "priorityLevelConfiguration": {"name": "p"}}}),
        )
        .cluster()
        .change("/spec/matchingPrecedence", json!(9001))
        .status(json!({"conditions": [{"type": "Dangling", "status": "True"}]})),
        Case::new(
            "flowcontrol.apiserver.k8s.io/v1",
            "prioritylevelconfigurations",
            json!({ "spec": level }),
        )
        .cluster()
        .status(json!({"conditions": [{"type": "X", "status": "True"}]})),
        Case::new(
            admission,
            "validatingadmissionpolicies",
            json!({ "spec": policy }),
        )
        .cluster(),
        Case::new(
            admission,
            "validatingadmissionpolicybindings",
            json!({"spec": {"policyName": "p", "validationActions": ["Audit"]}}),
        )
        .cluster(),
        Case::new(
            "rbac.authorization.k8s.io/v1",
            "clusterroles",
            json!({"rules": []}),
        )
        .cluster(),
    ] {
        operate(&cluster, &case);
    }
}

#[test]
fn what_is_immutable_stays() {
    let cluster = Cluster::start();
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    cluster.post(classes, &json!({"metadata": {"name": "p"}, "value": 1}));
    let one = format!("{classes}/p");
    let (code, status) = cluster.patch(&one, "merge-patch+json", &json!({"value": 2}));
    assert_eq!(code, 422);
    assert_eq!(
        status["message"],
        "PriorityClass.scheduling.k8s.io \"p\" is invalid: value: Forbidden: may not be changed in an update."
    );
    let mut object = cluster.get(&one).1;
    object["preemptionPolicy"] = "Never".into();
    assert_eq!(cluster.put(&one, &object).0, 422);
    object["preemptionPolicy"] = "PreemptLowerPriority".into();
    object["description"] = "new".into();
    assert_eq!(cluster.put(&one, &object).0, 200);
}

#[test]
fn some_kinds_are_only_replaced_in_a_version_and_some_are_made_by_a_put() {
    let cluster = Cluster::start();
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}});
    let one = format!("{budgets}/b");
    assert_eq!(cluster.put(&one, &budget).0, 404);
    cluster.post(budgets, &budget);
    let (code, status) = cluster.put(&one, &budget);
    assert_eq!(code, 422);
    assert_eq!(
        status["message"],
        "poddisruptionbudgets.policy \"b\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an \
         update"
    );
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let (code, made) = cluster.put(&format!("{leases}/l"), &lease);
    assert_eq!(
        (code, made["spec"]["holderIdentity"].as_str()),
        (201, Some("me")),
        "{made}"
    );
    assert!(made["metadata"]["uid"].is_string());
    assert_eq!(cluster.put(&format!("{leases}/l"), &made).0, 200);
    // Who may update but not create makes nothing.
    let role = json!({"metadata": {"name": "updates"}, "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}]});
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    assert_eq!(cluster.put(&format!("{roles}/roles/updates"), &role).0, 201);
    let binding = json!({"metadata": {"name": "updates"}, "roleRef": {"kind": "Role", "name": "updates"}, "subjects": [{"kind": "User", "name": "u"}]});
    assert_eq!(
        cluster.put(&format!("{roles}/rolebindings/updates"), &binding).0,
        201
    );
    let put = |name: &str, object: &Value| {
        let body = serde_json::to_vec(object).unwrap();
        let headers = [("content-type", "application/json"), ("impersonate-user", "u")];
        cluster.request(Method::PUT, &format!("{leases}/{name}"), &headers, &body)
    };
    let mut other = lease;
    other["metadata"]["name"] = "m".into();
    let (code, status) = put("m", &other);
    assert_eq!(
        (code, status["reason"].as_str()),
        (403, Some("Forbidden")),
        "{status}"
    );
    assert_eq!(cluster.get(&format!("{leases}/m")).0, 404);
    assert_eq!(put("l", &cluster.get(&format!("{leases}/l")).1).0, 200);
}
