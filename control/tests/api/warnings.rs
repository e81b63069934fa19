//! What is told beside an answer: fields that do not belong, keys and owners that are there twice.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

/// A write of JSON: the status code, the warnings, the answer.
fn warned(cluster: &Cluster, method: Method, path: &str, body: &Value) -> (u16, Vec<String>, Value) {
    let media = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = body.to_string();
    let (code, warnings, answer) = cluster
        .warned(method, path, &[("content-type", media)], body.as_bytes())
        .unwrap();
    (code, warnings, serde_json::from_slice(&answer).unwrap())
}

#[test]
fn subresources_are_read_as_strictly_as_objects() {
    let cluster = Cluster::start();
    let set = json!({"metadata": {"name": "r"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(cluster.post(SETS, &set).0, 201);
    let scale = format!("{SETS}/r/scale");
    let put = |query: &str, body: Value| warned(&cluster, Method::PUT, &format!("{scale}?{query}"), &body);
    let named = |fields: Value| {
        let mut body = json!({"metadata": {"name": "r"}, "spec": {"replicas": 0}});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let unknown = named(json!({"odd": 1}));
    for (query, code, warnings) in [
        ("", 200, vec!["299 - \"unknown field \\\"odd\\\"\""]),
        ("fieldValidation=Ignore", 200, vec![]),
        ("fieldValidation=Strict", 400, vec![]),
    ] {
        let (found, told, answer) = put(query, unknown.clone());
        assert_eq!(
            (found, told),
            (code, warnings.into_iter().map(str::to_owned).collect()),
            "{query}"
        );
        let strict = "Scale in version \"v1\" cannot be handled as a Scale: strict decoding error: unknown field \"odd\"";
        assert!(code == 200 || answer["message"] == strict, "{answer}");
    }
    for (body, why) in [
        (
            json!({"spec": {"replicas": 0}}),
            "the name of the object (r based on URL) was undeterminable: name must be provided",
        ),
        (
            named(json!({"metadata": {"name": "s"}})),
            "the name of the object (s) does not match the name on the URL (r)",
        ),
        (
            named(json!({"metadata": {"name": "r", "namespace": "other"}})),
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ] {
        let (code, _, status) = put("", body);
        assert_eq!((code, status["message"].as_str()), (400, Some(why)));
    }
    // What is made in its answer only, too.
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = json!({"spec": {"nonResourceAttributes": {"path": "/", "verb": "get", "odd": 1}}});
    let (code, told, _) = warned(&cluster, Method::POST, reviews, &review);
    let odd = "299 - \"unknown field \\\"spec.nonResourceAttributes.odd\\\"\"";
    assert_eq!((code, told), (201, vec![odd.to_owned()]));
    let strict = format!("{reviews}?fieldValidation=Strict");
    assert_eq!(warned(&cluster, Method::POST, &strict, &review).0, 400);
    let tokens = "/api/v1/namespaces/default/serviceaccounts/default/token?fieldValidation=Strict";
    cluster.eventually("account", |cluster| {
        cluster
            .get("/api/v1/namespaces/default/serviceaccounts/default")
            .0
            == 200
    });
    let of = |namespace: &str| json!({"metadata": {"namespace": namespace}, "spec": {"audiences": ["a"]}});
    assert_eq!(warned(&cluster, Method::POST, tokens, &of("default")).0, 201);
    assert_eq!(warned(&cluster, Method::POST, tokens, &of("other")).0, 400);
}

#[test]
fn keys_that_are_twice_in_an_applied_scale_are_told() {
    let cluster = Cluster::start();
    let set = json!({"metadata": {"name": "r"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(cluster.post(SETS, &set).0, 201);
    let config = "apiVersion: autoscaling/v1\nkind: Scale\nspec:\n  replicas: 1\n  replicas: 0\n";
    let path = format!("{SETS}/r/scale?fieldManager=me&force=true");
    let media = [("content-type", "application/apply-patch+yaml")];
    let (code, told, _) = cluster
        .warned(Method::PATCH, &path, &media, config.as_bytes())
        .unwrap();
    assert_eq!((code, told.len()), (200, 1));
    assert!(
        told[0].contains("line 5: key \\\"replicas\\\" already set in map"),
        "{told:?}"
    );
}

#[test]
fn owners_that_are_there_twice_are_told() {
    let cluster = Cluster::start();
    // They live: an object whose owners are gone goes too.
    let owner = |name: &str| {
        let (_, made) = cluster.post(MAPS, &config_map(name, "1"));
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]})
    };
    let (one, two) = (owner("one"), owner("two"));
    let id = one["uid"].as_str().unwrap();
    let text = |when: &str| {
        format!(
            "299 - \".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in \
             1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {id}, {id}\""
        )
    };
    let of = |owners: Value| json!({"metadata": {"name": "b", "ownerReferences": owners}});
    let twice = of(json!([one, two, one, one]));
    let once = json!([one, two]);
    let b = format!("{MAPS}/b");
    for (method, path, when) in [
        (Method::POST, MAPS, ""),
        (Method::PUT, &*b, ""),
        (Method::PATCH, &*b, " after mutating admission happens"),
    ] {
        let (_, told, answer) = warned(&cluster, method.clone(), path, &twice);
        assert_eq!(
            (told, &answer["metadata"]["ownerReferences"]),
            (vec![text(when)], &once),
            "{method}"
        );
    }
    let (code, told, _) = warned(&cluster, Method::PUT, &b, &of(once));
    assert_eq!((code, told), (200, vec![]));
}
