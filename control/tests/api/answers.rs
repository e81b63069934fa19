//! What answers carry besides objects, and what requests may ask of them: headers, deadlines, forms of dry runs.

use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map, runtime};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

/// A GET: status code, headers and body.
fn get(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    runtime().block_on(async {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(kube::client::Body::from(Vec::new())).unwrap();
        let response = cluster.client().await.send(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect_bytes().await.unwrap();
        (parts.status.as_u16(), parts.headers, body.to_vec())
    })
}

#[test]
fn every_answer_says_by_which_id_it_is_found() {
    let cluster = Cluster::start();
    let id = |path: &str, headers: &[(&str, &str)]| {
        let (_, found, _) = get(&cluster, path, headers);
        found["audit-id"].to_str().unwrap().to_owned()
    };
    let one = id("/api/v1/nodes", &[]);
    assert_eq!((one.len(), one == id("/api/v1/nodes", &[])), (36, false));
    assert_eq!(id("/none", &[]).len(), 36, "errors too");
    assert_eq!(id("/api/v1/nodes", &[("audit-id", "mine/1")]), "mine/1");
}

#[test]
fn requests_say_how_long_they_wait() {
    let cluster = Cluster::start();
    for path in [MAPS, "/api/v1/nodes/none", "/version"] {
        let (code, status) = cluster.get(&format!("{path}?timeout=soon"));
        let why = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
        assert_eq!((code, status["message"].as_str()), (400, Some(why)), "{path}");
    }
    assert_eq!(cluster.get(&format!("{MAPS}?timeout=1m30s")).0, 200);
    assert_eq!(cluster.get(&format!("{MAPS}?timeout=0")).0, 200);
}

#[test]
fn revisions_are_numbers() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let (code, status) = cluster.get(&format!("{MAPS}/a?resourceVersion=abc"));
    let why = "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": \
               invalid syntax";
    assert_eq!((code, status["message"].as_str()), (400, Some(why)));
    assert_eq!(cluster.get(&format!("{MAPS}/a?resourceVersion=1")).0, 200);
}

#[test]
fn dry_runs_answer_in_the_form_that_is_asked_for() {
    let cluster = Cluster::start();
    let path = format!("{MAPS}?dryRun=All");
    let body = serde_json::to_vec(&config_map("a", "1")).unwrap();
    let create = |accept: &str| {
        let headers = [("accept", accept), ("content-type", "application/json")];
        let (code, answer) = cluster.request(Method::POST, &path, &headers, &body);
        assert_eq!(code, 201, "{answer}");
        answer
    };
    let table = create(TABLE);
    assert_eq!(
        (&table["kind"], &table["rows"][0]["cells"][0]),
        (&json!("Table"), &json!("a"))
    );
    assert_eq!(table["metadata"], json!({}), "nothing has this revision");
    let partial = create(PARTIAL);
    assert_eq!(
        (&partial["kind"], &partial["metadata"]["name"]),
        (&json!("PartialObjectMetadata"), &json!("a"))
    );
    assert_eq!(cluster.get(&format!("{MAPS}/a")).0, 404);
    // A delete that would only mark the object shows the mark.
    let mut held = config_map("held", "1");
    held["metadata"]["finalizers"] = json!(["example.com/mine"]);
    let (_, held) = cluster.post(MAPS, &held);
    let (code, marked) = cluster.delete(&format!("{MAPS}/held?dryRun=All"), &Value::Null);
    assert_eq!(code, 200, "{marked}");
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    let revision = |object: &Value| object["metadata"]["resourceVersion"].clone();
    assert_eq!(revision(&marked), revision(&held));
    assert_eq!(
        cluster.get(&format!("{MAPS}/held")).1,
        held,
        "nothing has happened"
    );
}

#[test]
fn what_does_not_change_need_not_be_sent_again() {
    let cluster = Cluster::start();
    let accept = (
        "accept",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    );
    for path in ["/api", "/apis"] {
        let (code, headers, body) = get(&cluster, path, &[accept]);
        assert_eq!((code, headers["vary"].to_str().unwrap()), (200, "Accept"));
        assert_eq!(headers["cache-control"], "public");
        let tag = headers["etag"].to_str().unwrap();
        assert!(!body.is_empty() && tag.starts_with('"'), "{tag}");
        let (code, again, body) = get(&cluster, path, &[accept, ("if-none-match", tag)]);
        assert_eq!((code, &again["etag"], body.len()), (304, &headers["etag"], 0));
        assert_eq!(get(&cluster, path, &[accept, ("if-none-match", "\"x\"")]).0, 200);
        assert_eq!(get(&cluster, path, &[]).1["vary"], "Accept");
    }
    let (code, headers, _) = get(&cluster, "/openapi/v3/apis/apps/v1?hash=OLD", &[]);
    let place = headers["location"].to_str().unwrap();
    assert_eq!(code, 301);
    assert!(place.starts_with("/openapi/v3/apis/apps/v1?hash="), "{place}");
    let (code, headers, _) = get(&cluster, place, &[]);
    assert_eq!(
        (code, headers["cache-control"].to_str().unwrap()),
        (200, "public, immutable")
    );
    assert_eq!(get(&cluster, "/openapi/v3/apis/none/v1?hash=OLD", &[]).0, 404);
    for path in ["/.well-known/openid-configuration", "/openid/v1/jwks"] {
        let (code, headers, _) = get(&cluster, path, &[]);
        assert_eq!(
            (code, headers["cache-control"].to_str().unwrap()),
            (200, "public, max-age=3600")
        );
    }
}

#[test]
fn evictions_may_be_written_in_their_older_version() {
    let cluster = Cluster::start();
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(cluster.post(pods, &pod).0, 201);
    for (version, expected) in [("policy/v2", 400), ("policy/v1beta1", 201)] {
        let eviction = json!({"apiVersion": version, "kind": "Eviction", "metadata": {"name": "p"}});
        let (code, status) = cluster.post(&format!("{pods}/p/eviction"), &eviction);
        assert_eq!(code, expected, "{status}");
    }
    assert_eq!(cluster.get(&format!("{pods}/p")).0, 404);
}

#[test]
fn an_evicted_pod_says_so() {
    let cluster = Cluster::start();
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p", "finalizers": ["a.example/b"]},
        "spec": {"schedulerName": "none", "containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(cluster.post(pods, &pod).0, 201);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let conditions = || cluster.get(&format!("{pods}/p")).1["status"]["conditions"].clone();
    let (code, status) = cluster.post(&format!("{pods}/p/eviction?dryRun=All"), &eviction);
    assert_eq!((code, conditions()), (201, Value::Null), "{status}");
    for _ in 0..2 {
        let (code, status) = cluster.post(&format!("{pods}/p/eviction"), &eviction);
        assert_eq!(code, 201, "{status}");
        let mut conditions = conditions();
        conditions[0]
            .as_object_mut()
            .unwrap()
            .remove("lastTransitionTime");
        let expected = json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting"}]);
        assert_eq!(conditions, expected);
    }
}

#[test]
fn rows_of_pods_say_whether_they_are_over() {
    let cluster = Cluster::start();
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(cluster.post(pods, &pod).0, 201);
    let conditions = || {
        let (_, table) = cluster.request(Method::GET, pods, &[("accept", TABLE)], b"");
        table["rows"][0]["conditions"].clone()
    };
    assert_eq!(conditions(), Value::Null);
    for (phase, message) in [
        ("Failed", "The pod failed."),
        ("Succeeded", "The pod has completed successfully."),
    ] {
        let status = json!({"status": {"phase": phase}});
        let (code, answer) = cluster.patch(&format!("{pods}/p/status"), "merge-patch+json", &status);
        assert_eq!(code, 200, "{answer}");
        let expected = json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]);
        assert_eq!(conditions(), expected);
    }
}

#[test]
fn addresses_of_nodes_are_named_once() {
    let cluster = Cluster::start();
    assert_eq!(
        cluster
            .post("/api/v1/nodes", &json!({"metadata": {"name": "n"}}))
            .0,
        201
    );
    let address = |kind: &str| json!({"type": kind, "address": "192.0.2.1"});
    let patch = |addresses: Value| {
        let status = json!({"status": {"addresses": addresses}});
        cluster.patch("/api/v1/nodes/n/status", "merge-patch+json", &status)
    };
    assert_eq!(
        patch(json!([address("InternalIP"), address("ExternalIP")])).0,
        200
    );
    let (code, refused) = patch(json!([address("InternalIP"), address("InternalIP")]));
    let why = "Node \"n\" is invalid: status.addresses[1]: Duplicate value: core.NodeAddress{Type:\"InternalIP\", \
               Address:\"192.0.2.1\"}";
    assert_eq!((code, refused["message"].as_str()), (422, Some(why)));
}
