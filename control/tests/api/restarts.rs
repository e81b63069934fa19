//! What survives a restart, and what keeps one from starting.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Change, Embedded, Expect, Options, Range, Store, Write, key_of};
use serde_json::{Value, json};

use crate::cluster::{Cluster, on_etcd, runtime};

/// Secrets, which no controller writes here, so that nothing happens to them but what the test does.
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

#[test]
fn everything_is_there_again_and_watches_resume() {
    let mut cluster = Cluster::start();
    let (_, created) = cluster.post(
        SECRETS,
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}),
    );
    let (_, list) = cluster.get(SECRETS);
    let before: u64 = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    cluster.stop();
    cluster.resume();
    assert_eq!(cluster.get(&format!("{SECRETS}/a")).1, created);
    let (_, list) = cluster.get(SECRETS);
    let after: u64 = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(after >= before);
    // Nothing has happened to Secrets since, so the watch goes on where it was.
    let revision = created["metadata"]["resourceVersion"].as_str().unwrap();
    let resumed = format!("{SECRETS}?watch=true&resourceVersion={before}&timeoutSeconds=1");
    let (code, body) = cluster.raw(Method::GET, &resumed, &[], b"");
    assert_eq!(
        (code, String::from_utf8(body).unwrap().contains("ERROR")),
        (200, false)
    );
    if on_etcd() {
        // etcd has the history still.
        return;
    }
    // From before the last change, events would be missing: the client is told to list again.
    let early: u64 = revision.parse::<u64>().unwrap() - 1;
    let path = format!("{SECRETS}?watch=true&resourceVersion={early}&timeoutSeconds=1");
    let (_, body) = cluster.raw(Method::GET, &path, &[], b"");
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (
            event["type"].as_str().unwrap(),
            event["object"]["code"].as_u64().unwrap()
        ),
        ("ERROR", 410)
    );
    assert_eq!(event["object"]["reason"], "Expired");
}

/// A protobuf body's raw JSON is parsed on its own and then lies deeper than any parser would let it.
#[test]
fn objects_too_deep_to_be_read_back_are_refused() {
    let field = |number: u8, content: &[u8]| {
        let length = [content.len() as u8 & 0x7f | 0x80, (content.len() >> 7) as u8];
        [&[number << 3 | 2][..], &length, content].concat()
    };
    let revision = |levels: usize| {
        let data = format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let meta = [field(1, b"apps/v1"), field(2, b"ControllerRevision")].concat();
        let object = [field(1, &field(1, b"deep")), field(2, &field(1, data.as_bytes()))].concat();
        [&b"k8s\0"[..], &field(1, &meta), &field(2, &object)].concat()
    };
    let mut cluster = Cluster::start();
    let path = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let headers = [("content-type", "application/vnd.kubernetes.protobuf")];
    let (code, status) = cluster.request(Method::POST, path, &headers, &revision(126));
    assert_eq!(code, 400, "{status}");
    assert!(
        status["message"].as_str().unwrap().contains("nested deeper"),
        "{status}"
    );
    let (code, created) = cluster.request(Method::POST, path, &headers, &revision(98));
    assert_eq!(code, 201, "{created}");
    let one = format!("{path}/deep");
    cluster.stop();
    cluster.resume();
    assert_eq!(cluster.get(&one).1, created);
}

#[test]
fn a_second_one_on_the_same_port_or_data_fails_with_the_reason() {
    let cluster = Cluster::start();
    let run = |config| crate::cluster::runtime().block_on(keelson_control::run(config, async {}));
    let port = run(cluster.config.clone()).unwrap_err().to_string();
    assert!(
        port.contains("listen on 127.0.0.1:") && port.contains("already in use"),
        "{port}"
    );
    if on_etcd() {
        // Any number may share it.
        return;
    }
    let mut elsewhere = cluster.config.clone();
    elsewhere.listen.set_port(0);
    elsewhere.advertise = elsewhere.listen;
    let data = run(elsewhere).unwrap_err().to_string();
    assert!(data.contains("store.redb is in use by another process"), "{data}");
}

/// Changes the text of an object where it is stored, past all rules.
fn edit(cluster: &Cluster, plural: &str, name: &str, (from, to): (&str, &str)) {
    let store = Embedded::open(&cluster.config.data_dir, &Options::new(|_, _| BTreeMap::new())).unwrap();
    let resource = Arc::new(GroupResource::new("", plural));
    let list = store.range(&resource, &Range::all(Some("default"))).unwrap();
    let found = list.objects.iter().find(|object| object.name == name).unwrap();
    let text = String::from_utf8(found.bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    // The store writes the revision where the server left room for it.
    let revision = format!("\"resourceVersion\":\"{}\"", found.resource_version);
    let text = text
        .replace(from, to)
        .replace(&revision, "\"resourceVersion\":\"\"");
    let object = Object::describe(&serde_json::from_str(&text).unwrap(), text.into());
    let write = Write {
        key: key_of("default", name),
        expect: Expect::Revision(found.resource_version),
        change: Change::Put {
            object,
            expires: None,
        },
        resource,
    };
    runtime().block_on(store.write(write)).unwrap();
}

#[test]
fn what_earlier_rules_let_in_is_no_mistake_of_an_update() {
    const SETS: &str = "/api/v1/namespaces/default/replicationcontrollers";
    if on_etcd() {
        // The rules are the same whatever the store; this one is a file that can be edited.
        return;
    }
    let mut cluster = Cluster::start();
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let set = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old",
        "finalizers": ["example.com/hold"]}, "spec": {"replicas": 0, "selector": {"a": "b"}, "template": template}});
    assert_eq!(cluster.post(SETS, &set).0, 201);
    cluster.stop();
    let reference = r#""envFrom":[{"configMapRef":{"name":"My_Config"}}],"image":"i""#;
    edit(
        &cluster,
        "replicationcontrollers",
        "old",
        (r#""image":"i""#, reference),
    );
    cluster.resume();
    let old = format!("{SETS}/old");
    let merge = |path: &str, patch: Value| cluster.patch(path, "merge-patch+json", &patch);
    let (code, stored) = cluster.get(&old);
    assert_eq!(code, 200);
    assert_eq!(
        stored["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"],
        "My_Config"
    );
    // It is labelled, scaled and released as it is.
    assert_eq!(merge(&old, json!({"metadata": {"labels": {"x": "y"}}})).0, 200);
    let (code, scale) = merge(&format!("{old}/scale"), json!({"spec": {"replicas": 1}}));
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(1)));
    assert_eq!(merge(&old, json!({"spec": {"minReadySeconds": 3}})).0, 200);
    // New mistakes are refused, beside the old one and in its place.
    let (code, refused) = merge(
        &old,
        json!({"metadata": {"labels": {"x": "not valid"}}, "spec": {"replicas": -1}}),
    );
    assert_eq!(code, 422, "{refused}");
    let fields: Vec<_> = refused["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(fields, ["metadata.labels", "spec.replicas"]);
    let mut worse = cluster.get(&old).1;
    // The controller writes its status meanwhile.
    worse["metadata"]["resourceVersion"] = Value::Null;
    worse["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] =
        "Your_Config".into();
    assert_eq!(cluster.put(&old, &worse).0, 422);
    assert_eq!(merge(&old, json!({"metadata": {"finalizers": null}})).0, 200);
    assert_eq!(
        cluster
            .delete(&old, &json!({"propagationPolicy": "Background"}))
            .0,
        200
    );
    assert_eq!(cluster.get(&old).0, 404);
}
