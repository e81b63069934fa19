//! Requests that are refused, and in which words.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn options_that_are_none_are_invalid() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let a = format!("{MAPS}/a");
    let refused = |(code, status): (u16, Value)| {
        assert_eq!(
            (code, status["reason"].as_str()),
            (422, Some("Invalid")),
            "{status}"
        );
        assert_eq!(status["details"]["group"], "meta.k8s.io");
        status["message"].as_str().unwrap().to_owned()
    };
    let dry = "is invalid: dryRun: Unsupported value: []string{\"Some\"}: supported values: \"All\"";
    assert_eq!(
        refused(cluster.post(&format!("{MAPS}?dryRun=Some"), &config_map("b", "1"))),
        format!("CreateOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.put(&format!("{a}?dryRun=Some"), &config_map("a", "1"))),
        format!("UpdateOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.patch(&format!("{a}?dryRun=Some"), "merge-patch+json", &json!({}))),
        format!("PatchOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.delete(&a, &json!({"dryRun": ["Some"]}))),
        format!("DeleteOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.get(&format!("{MAPS}?resourceVersionMatch=Exact"))),
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless \
         resourceVersion is provided"
    );
    let watch = format!("{MAPS}?watch=1&sendInitialEvents=true");
    assert!(
        refused(cluster.get(&watch))
            .contains("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    );
    let collection = format!("{MAPS}?resourceVersionMatch=x&resourceVersion=1");
    assert!(refused(cluster.delete(&collection, &Value::Null)).contains("Unsupported value: \"x\""));
    for (path, body) in [
        (
            "bindings",
            json!({"metadata": {"name": "p"}, "target": {"name": "n"}}),
        ),
        ("serviceaccounts/default/token", json!({"spec": {}})),
    ] {
        let path = format!("/api/v1/namespaces/default/{path}?dryRun=Some");
        assert!(
            refused(cluster.post(&path, &body)).starts_with("CreateOptions"),
            "{path}"
        );
    }
    assert_eq!(
        cluster.get(&a).1["data"]["k"],
        "1",
        "nothing of this has happened"
    );
}

#[test]
fn no_request_empties_all_namespaces() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let expected = "the server does not allow this method on the requested resource";
    for (method, path) in [
        (Method::DELETE, "/api/v1/configmaps"),
        (Method::POST, "/api/v1/configmaps"),
        (Method::PUT, MAPS),
        (Method::DELETE, "/api/v1/namespaces"),
        (Method::GET, "/api/v1/namespaces/default/pods/x/binding"),
    ] {
        let (code, refused) = cluster.request(method.clone(), path, &[], b"{}");
        assert_eq!(
            (code, refused["message"].as_str()),
            (405, Some(expected)),
            "{method} {path}"
        );
        assert_eq!(refused["details"], json!({}));
    }
    assert_eq!(cluster.get(&format!("{MAPS}/a")).0, 200);
}

#[test]
fn bodies_that_are_nothing_are_shown() {
    let cluster = Cluster::start();
    let refused = |body: &[u8]| {
        let headers = [("content-type", "application/json")];
        let (code, status) = cluster.request(Method::POST, MAPS, &headers, body);
        assert_eq!(code, 400);
        status["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused(b""),
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         unexpected end of JSON input (<empty>)"
    );
    assert!(
        refused(b"{\"kind\": \"ConfigMap\", \"apiVersion\":")
            .ends_with(" ({\"kind\": \"ConfigMap\", \"apiVers ...)")
    );
    assert!(refused(b"[").ends_with(" (5b)"));
}

#[test]
fn kinds_and_versions_are_texts() {
    let cluster = Cluster::start();
    for (field, value, found) in [
        ("kind", json!(5), "number"),
        ("apiVersion", json!(["v1"]), "array"),
    ] {
        let mut map = config_map("a", "1");
        map[field] = value;
        let (code, status) = cluster.post(MAPS, &map);
        let why = format!(
            "json parse error: json: cannot unmarshal {found} into Go struct field .{field} of type string ("
        );
        assert_eq!(code, 400);
        assert!(status["message"].as_str().unwrap().contains(&why), "{status}");
    }
}

#[test]
fn updates_say_whom_they_mean() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let (code, refused) = cluster.put(&format!("{MAPS}/a"), &json!({"data": {}}));
    assert_eq!(
        (code, refused["message"].as_str()),
        (
            400,
            Some("the name of the object (a based on URL) was undeterminable: name must be provided")
        )
    );
}

/// Nothing is behind a subresource, and a row carries nothing else than there is.
#[test]
fn what_is_not_there_is_not_served() {
    let cluster = Cluster::start();
    let (code, status) = cluster.get("/api/v1/namespaces/default/status/x");
    assert_eq!((code, status["reason"].as_str()), (404, Some("NotFound")));
    assert_eq!(cluster.get("/api/v1/namespaces/default/status").0, 200);
    let limit = cluster.get(&format!("{MAPS}?limit="));
    assert_eq!(
        (limit.0, limit.1["message"].as_str()),
        (400, Some("strconv.ParseInt: parsing \"\": invalid syntax"))
    );
    let (code, status) = cluster.post(MAPS, &Value::Null);
    assert_eq!(
        (code, status["reason"].as_str()),
        (422, Some("Invalid")),
        "{status}"
    );
}

/// A name that is taken, and a version of what is not stored yet, are told after everything else.
#[test]
fn what_the_store_refuses_comes_last() {
    let cluster = Cluster::start();
    let create = |metadata: Value| {
        let mut map = config_map("", "1");
        map["metadata"] = metadata;
        let (code, answer) = cluster.post(MAPS, &map);
        (code, answer["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(create(json!({"name": "a"})).0, 201);
    let taken = "configmaps \"a\" already exists".to_owned();
    assert_eq!(create(json!({"name": "a"})), (409, taken.clone()));
    assert_eq!(
        create(json!({"name": "a", "generateName": "b-"})),
        (
            409,
            format!("{taken}, the server was not able to generate a unique name for the object")
        )
    );
    assert_eq!(create(json!({"name": "BAD!", "resourceVersion": "5"})).0, 422);
    assert_eq!(
        create(json!({"name": "b", "resourceVersion": "5"})),
        (
            500,
            "resourceVersion should not be set on objects to be created".to_owned()
        )
    );
    for none in ["", "0", "x"] {
        let name = format!("c{none}");
        assert_eq!(
            create(json!({"name": name, "resourceVersion": none})).0,
            201,
            "{none}"
        );
    }
}

#[test]
fn of_yaml_the_first_document_is_read() {
    let cluster = Cluster::start();
    let yaml = [("content-type", "application/yaml")];
    for body in ["", "{\"a\":1}x", "---\nmetadata: {}\n---\n[[]"] {
        let (code, status) = cluster.request(Method::POST, MAPS, &yaml, body.as_bytes());
        let message = status["message"].as_str().unwrap();
        assert!(
            code == 422
                && message.ends_with("metadata.name: Required value: name or generateName is required"),
            "{body:?}: {status}"
        );
    }
    let body = "metadata: {name: a}\n---\nmetadata: {name: b, name: c}\n";
    let (code, created) = cluster.request(Method::POST, MAPS, &yaml, body.as_bytes());
    assert_eq!((code, &created["metadata"]["name"]), (201, &json!("a")));
}
