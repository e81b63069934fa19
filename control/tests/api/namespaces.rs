//! Namespaces, as the conformance suite's rows describe them.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const NAMESPACES: &str = "/api/v1/namespaces";

impl Cluster {
    #[track_caller]
    fn namespace(&self, name: &str) -> Value {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let (code, made) = self.post(NAMESPACES, &object);
        assert_eq!(code, 201, "{made}");
        self.eventually("its service account", |cluster| {
            cluster
                .get(&format!("{NAMESPACES}/{name}/serviceaccounts/default"))
                .0
                == 200
        });
        made
    }
}

/// Should patch a Namespace; and: should apply an update to a Namespace.
#[test]
fn labels_are_patched_and_updated() {
    let cluster = Cluster::start();
    cluster.namespace("one");
    let one = format!("{NAMESPACES}/one");
    let patch = json!({"metadata": {"labels": {"testLabel": "testValue"}}});
    let (code, patched) = cluster.patch(&one, "strategic-merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["metadata"]["labels"]["testLabel"]),
        (200, &json!("testValue"))
    );
    let (code, mut found) = cluster.get(&one);
    assert_eq!(code, 200, "{found}");
    assert_eq!(found["metadata"]["labels"]["testLabel"], "testValue");
    found["metadata"]["labels"]["one"] = "updated".into();
    let (code, updated) = cluster.put(&one, &found);
    assert_eq!(
        (code, &updated["metadata"]["labels"]["one"]),
        (200, &json!("updated"))
    );
    assert_eq!(
        updated["metadata"]["labels"]["kubernetes.io/metadata.name"],
        "one"
    );
}

/// Should apply changes to a namespace status.
#[test]
fn the_status_is_read_patched_and_updated() {
    let cluster = Cluster::start();
    cluster.namespace("one");
    let status = format!("{NAMESPACES}/one/status");
    let (code, found) = cluster.get(&status);
    assert_eq!((code, &found["status"]["phase"]), (200, &json!("Active")));
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "reason": "E2E", "message": "set from a test"});
    let patch = json!({"metadata": {"annotations": {"patched": "true"}}, "status": {"conditions": [condition("StatusPatch")]}});
    let (code, patched) = cluster.patch(&status, "merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["status"]["conditions"][0]["type"]),
        (200, &json!("StatusPatch")),
        "{patched}"
    );
    assert_eq!(patched["metadata"]["annotations"]["patched"], "true");
    let mut updated = patched;
    updated["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(condition("StatusUpdate"));
    let (code, updated) = cluster.put(&status, &updated);
    assert_eq!(
        (code, &updated["status"]["conditions"][1]["reason"]),
        (200, &json!("E2E")),
        "{updated}"
    );
    assert_eq!(updated["status"]["phase"], "Active");
    let (_, read) = cluster.get(&format!("{NAMESPACES}/one"));
    assert_eq!(read["metadata"]["annotations"]["patched"], "true");
    assert_eq!(read["status"], updated["status"]);
}

/// Should apply a finalizer to a Namespace.
#[test]
fn a_finalizer_is_set_found_and_removed() {
    let cluster = Cluster::start();
    let mut made = cluster.namespace("one");
    let finalizers = |object: &Value| object["spec"]["finalizers"].clone();
    assert_eq!(finalizers(&made), json!(["kubernetes"]));
    made["spec"]["finalizers"] = json!(["kubernetes", "e2e.example.com/fakeFinalizer"]);
    let (code, set) = cluster.put(&format!("{NAMESPACES}/one/finalize"), &made);
    assert_eq!(code, 200, "{set}");
    assert_eq!(
        finalizers(&set),
        json!(["kubernetes", "e2e.example.com/fakeFinalizer"])
    );
    let (_, mut found) = cluster.get(&format!("{NAMESPACES}/one"));
    assert_eq!(finalizers(&found), finalizers(&set));
    // It is removed, and is not there.
    found["spec"]["finalizers"] = json!(["kubernetes"]);
    let (code, answer) = cluster.put(&format!("{NAMESPACES}/one/finalize"), &found);
    assert_eq!(code, 200, "{answer}");
    (_, found) = cluster.get(&format!("{NAMESPACES}/one"));
    assert_eq!(finalizers(&found), json!(["kubernetes"]));
    // Set again, it keeps the namespace.
    found["spec"]["finalizers"] = finalizers(&set);
    let (code, answer) = cluster.put(&format!("{NAMESPACES}/one/finalize"), &found);
    assert_eq!(code, 200, "{answer}");
    assert_eq!(cluster.delete(&format!("{NAMESPACES}/one"), &Value::Null).0, 200);
    cluster.eventually("emptied", |cluster| {
        finalizers(&cluster.get(&format!("{NAMESPACES}/one")).1) == json!(["e2e.example.com/fakeFinalizer"])
    });
    (_, found) = cluster.get(&format!("{NAMESPACES}/one"));
    found["spec"]["finalizers"] = json!([]);
    let (code, answer) = cluster.put(&format!("{NAMESPACES}/one/finalize"), &found);
    assert_eq!(code, 200, "{answer}");
    cluster.eventually("it goes", |cluster| {
        cluster.get(&format!("{NAMESPACES}/one")).0 == 404
    });
}

/// Should ensure that all pods are removed when a namespace is deleted; and: all services.
#[test]
fn a_deleted_namespace_takes_pods_and_services_along() {
    let cluster = Cluster::start();
    cluster.namespace("one");
    let inside = format!("{NAMESPACES}/one");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
    });
    assert_eq!(cluster.post(&format!("{inside}/pods"), &pod).0, 201);
    assert_eq!(cluster.post(&format!("{inside}/services"), &service).0, 201);
    assert_eq!(cluster.delete(&inside, &Value::Null).0, 200);
    cluster.eventually("it goes", |cluster| cluster.get(&inside).0 == 404);
    // One of the same name begins empty.
    cluster.namespace("one");
    for plural in ["pods", "services"] {
        assert_eq!(
            cluster.get(&format!("{inside}/{plural}")).1["items"],
            json!([]),
            "{plural}"
        );
    }
}

/// EndpointSlice should have Endpoints and EndpointSlices pointing to API Server.
#[test]
fn the_servers_own_service_points_at_it() {
    let cluster = Cluster::start();
    let service = "/api/v1/namespaces/default/services/kubernetes";
    cluster.eventually("its Service", |cluster| cluster.get(service).0 == 200);
    let endpoints = "/api/v1/namespaces/default/endpoints/kubernetes";
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2F\
                  service-name%3Dkubernetes";
    let (address, port) = (
        cluster.config.advertise.ip().to_string(),
        cluster.config.advertise.port(),
    );
    cluster.eventually("its Endpoints", |cluster| {
        let subset = &cluster.get(endpoints).1["subsets"][0];
        subset["addresses"][0]["ip"] == address && subset["ports"][0]["port"] == port
    });
    cluster.eventually("its EndpointSlice", |cluster| {
        let items = cluster.get(slices).1["items"].clone();
        items.as_array().is_some_and(|items| items.len() == 1)
            && items[0]["endpoints"][0]["addresses"] == json!([address])
            && items[0]["endpoints"][0]["conditions"]["ready"] != false
            && items[0]["ports"][0]["port"] == port
    });
}

/// Servers with support for Table transformation should return a 406 for a backend which does not implement metadata.
#[test]
fn a_table_of_what_has_no_metadata_is_not_acceptable() {
    let cluster = Cluster::start();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
    });
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ];
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let body = serde_json::to_vec(&review).unwrap();
    let (code, status) = cluster.request(http::Method::POST, path, &headers, &body);
    assert_eq!(
        (code, &status["reason"]),
        (406, &json!("NotAcceptable")),
        "{status}"
    );
}
