//! Create, update and patch: what comes back, and upstream's errors word for word.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

#[track_caller]
fn refused((code, status): (u16, Value), expected: u16, reason: &str, message: &str) {
    assert_eq!(code, expected, "{status}");
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["status"], "Failure");
    assert_eq!(status["reason"].as_str().unwrap_or(""), reason);
    assert_eq!(status["message"], message);
    assert_eq!(status["code"], expected);
}

#[test]
fn errors_are_upstreams() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let (code, created) = cluster.post(MAPS, &config_map("a", "1"));
    assert_eq!(code, 201);
    let meta = &created["metadata"];
    assert_eq!(meta["uid"].as_str().unwrap().len(), 36);
    assert!(meta["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert!(meta["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(meta["namespace"], "default");
    refused(
        cluster.post(MAPS, &config_map("a", "1")),
        409,
        "AlreadyExists",
        "configmaps \"a\" already exists",
    );
    refused(
        cluster.get(&format!("{MAPS}/x")),
        404,
        "NotFound",
        "configmaps \"x\" not found",
    );
    refused(
        cluster.get("/apis/apps/v1/namespaces/default/deployments/x"),
        404,
        "NotFound",
        "deployments.apps \"x\" not found",
    );
    refused(
        cluster.get("/api/v1/namespaces/default/things"),
        404,
        "NotFound",
        "the server could not find the requested resource",
    );
    let mut stale = created.clone();
    assert_eq!(
        cluster.put(&a, &config_map("a", "2")).0,
        200,
        "no resourceVersion: last write wins"
    );
    stale["data"]["k"] = "3".into();
    refused(
        cluster.put(&a, &stale),
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the \
         latest version and try again",
    );
    refused(
        cluster.put(&a, &config_map("b", "1")),
        400,
        "BadRequest",
        "the name of the object (b) does not match the name on the URL (a)",
    );
    let mut elsewhere = config_map("c", "1");
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    refused(
        cluster.post(MAPS, &elsewhere),
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    );
    let mut versioned = config_map("c", "1");
    versioned["apiVersion"] = "v2".into();
    refused(
        cluster.post(MAPS, &versioned),
        400,
        "BadRequest",
        "the API version in the data (v2) does not match the expected API version (v1)",
    );
    let mut set = config_map("c", "1");
    set["metadata"]["resourceVersion"] = "7".into();
    assert_eq!(cluster.post(MAPS, &set).0, 500);
    let mut other = stale.clone();
    other["metadata"]["resourceVersion"] = Value::Null;
    other["metadata"]["uid"] = "x".into();
    assert_eq!(cluster.put(&a, &other).1["reason"], "Conflict");
    let media = cluster.request(Method::POST, MAPS, &[("content-type", "text/plain")], b"x");
    assert_eq!(
        (media.0, media.1["reason"].as_str().unwrap()),
        (415, "UnsupportedMediaType")
    );
    assert_eq!(cluster.request(Method::POST, &a, &[], b"{}").0, 405);
}

#[test]
fn unchanged_updates_change_nothing_and_dry_runs_store_nothing() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let (_, created) = cluster.post(MAPS, &config_map("a", "1"));
    let (_, same) = cluster.put(&a, &config_map("a", "1"));
    assert_eq!(
        same["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
    let (code, dry) = cluster.put(&format!("{a}?dryRun=All"), &config_map("a", "2"));
    assert_eq!((code, dry["data"]["k"].as_str().unwrap()), (200, "2"));
    assert_eq!(cluster.get(&a).1, created);
    assert_eq!(
        cluster
            .post(&format!("{MAPS}?dryRun=All"), &config_map("b", "2"))
            .0,
        201
    );
    assert_eq!(cluster.get(&format!("{MAPS}/b")).0, 404);
    assert_eq!(
        cluster
            .post(&format!("{MAPS}?dryRun=Some"), &config_map("b", "2"))
            .0,
        422
    );
}

#[test]
fn patches_of_three_kinds() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let (_, created) = cluster.post(MAPS, &config_map("a", "1"));
    let (code, merged) = cluster.patch(&a, "merge-patch+json", &json!({"data": {"k": null, "x": "y"}}));
    assert_eq!((code, &merged["data"]), (200, &json!({"x": "y"})));
    let add = json!([{"op": "add", "path": "/data/z", "value": "w"}, {"op": "test", "path": "/data/x", "value": "y"}]);
    let (code, patched) = cluster.patch(&a, "json-patch+json", &add);
    assert_eq!((code, &patched["data"]), (200, &json!({"x": "y", "z": "w"})));
    let failing = json!([{"op": "test", "path": "/data/x", "value": "no"}]);
    assert_eq!(cluster.patch(&a, "json-patch+json", &failing).0, 422);
    let (code, _) = cluster.patch(
        &a,
        "strategic-merge-patch+json",
        &json!({"metadata": {"labels": {"b": "c"}}}),
    );
    assert_eq!(code, 200);
    let old =
        json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"q": "r"}});
    assert_eq!(cluster.patch(&a, "merge-patch+json", &old).0, 409);
    assert_eq!(
        cluster
            .patch(&a, "merge-patch+json", &json!({"metadata": {"name": "b"}}))
            .0,
        400
    );
    assert_eq!(cluster.patch(&a, "merge-patch+json", &json!(["x"])).0, 400);
}

#[test]
fn a_patch_that_leaves_something_mistyped_is_invalid() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    cluster.post(MAPS, &config_map("a", "1"));
    let labels = json!({"metadata": {"labels": "invalid"}});
    let told = |format: &str, patch: &Value| {
        let (code, status) = cluster.patch(&a, format, patch);
        let causes = &status["details"]["causes"];
        assert_eq!(
            (code, status["reason"].as_str(), causes[0]["field"].as_str()),
            (422, Some("Invalid"), Some("patch")),
            "{format}: {status}"
        );
        status["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        told("strategic-merge-patch+json", &labels),
        " \"\" is invalid: patch: Invalid value: \"map[metadata:map[labels:invalid]]\": cannot restore map from string"
    );
    let numbers = json!({"immutable": 1, "binaryData": {"a": "!"}});
    let message = told("strategic-merge-patch+json", &numbers);
    let shown = "map[binaryData:map[a:!] immutable:1]";
    let why = "error decoding from json: illegal base64 data at input byte 0";
    assert!(message.ends_with(&format!("\"{shown}\": {why}")), "{message}");
    // Of the other formats, what they came to is shown.
    let message = told("merge-patch+json", &labels);
    assert!(
        message.contains("\\\"data\\\":{\\\"k\\\":\\\"1\\\"}"),
        "{message}"
    );
    let why = "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string";
    assert!(message.ends_with(why), "{message}");
    let replaced = json!([{"op": "replace", "path": "/metadata/labels", "value": "invalid"}]);
    assert!(told("json-patch+json", &replaced).ends_with(why));
    // Also where the name could not be read any more.
    told("merge-patch+json", &json!({"metadata": "x"}));
    told("merge-patch+json", &json!({"metadata": {"name": 5}}));
    let path = "/apis/apps/v1/namespaces/default/replicasets";
    let set = json!({"metadata": {"name": "r"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(cluster.post(path, &set).0, 201);
    let scale = format!("{path}/r/scale");
    let (code, status) = cluster.patch(&scale, "merge-patch+json", &json!({"spec": {"replicas": "two"}}));
    let why = "json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32";
    let message = status["message"].as_str().unwrap();
    assert!(code == 422 && message.ends_with(why), "{status}");
    let (code, scaled) = cluster.patch(&scale, "merge-patch+json", &json!({"spec": {"replicas": 2}}));
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(2)), "{scaled}");
    let unknown = format!("{a}?fieldValidation=Strict");
    let (code, status) = cluster.patch(&unknown, "merge-patch+json", &json!({"x": 1}));
    let message = status["message"].as_str().unwrap();
    assert!(
        code == 422 && message.ends_with("strict decoding error: unknown field \"x\""),
        "{status}"
    );
}

#[test]
fn generated_names_are_new_each_time() {
    let cluster = Cluster::start();
    let mut named = config_map("", "1");
    named["metadata"] = json!({"generateName": "gen-"});
    let names: std::collections::BTreeSet<String> = (0..5)
        .map(|_| {
            let (code, created) = cluster.post(MAPS, &named);
            assert_eq!(code, 201);
            created["metadata"]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(names.len(), 5);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("gen-") && name.len() == 9)
    );
}

#[test]
fn sixteen_writers_of_one_object_lose_nothing() {
    let cluster = Cluster::start();
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    let a = format!("{MAPS}/a");
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let (cluster, a) = (&cluster, &a);
            scope.spawn(move || {
                let patch = json!({"data": {format!("w{writer}"): "x"}});
                assert_eq!(cluster.patch(a, "merge-patch+json", &patch).0, 200);
            });
        }
    });
    assert_eq!(cluster.get(&a).1["data"].as_object().unwrap().len(), 17);
}
