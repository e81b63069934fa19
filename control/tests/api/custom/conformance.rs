//! The CustomResourceDefinition and FieldValidation rows of the conformance suite, by their descriptions.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{DEFINITIONS, WIDGETS, anything, define, widget, widgets, within};
use crate::cluster::Cluster;

#[test]
fn definitions_are_found_in_discovery() {
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    let named = |list: &Value, name: &str| {
        let items = list.as_array().unwrap().iter();
        items.filter(|one| one["name"] == name).count()
    };
    assert_eq!(named(&groups["groups"], "apiextensions.k8s.io"), 1);
    let listed = groups["groups"].as_array().unwrap().iter();
    let mut listed = listed.filter(|group| group["name"] == "apiextensions.k8s.io");
    let version = json!({"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"});
    assert_eq!(listed.next().unwrap()["versions"], json!([version]));
    let (_, group) = cluster.get("/apis/apiextensions.k8s.io");
    assert_eq!(group["versions"][0]["groupVersion"], "apiextensions.k8s.io/v1");
    let (_, list) = cluster.get("/apis/apiextensions.k8s.io/v1");
    assert_eq!(named(&list["resources"], "customresourcedefinitions"), 1);
    assert_eq!(named(&list["resources"], "customresourcedefinitions/status"), 1);
}

#[test]
fn the_status_of_a_definition_is_a_subresource() {
    let cluster = Cluster::start();
    define(&cluster, &widgets(&anything()));
    let path = format!("{DEFINITIONS}/widgets.example.com/status");
    let with = |mut definition: Value, kind: &str| {
        let one = json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set by a test"});
        definition["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .push(one);
        definition
    };
    let kinds = |definition: &Value| -> Vec<String> {
        let conditions = definition["status"]["conditions"].as_array().unwrap().iter();
        conditions
            .map(|one| one["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let (code, now) = cluster.get(&path);
    assert_eq!((code, &now["kind"]), (200, &json!("CustomResourceDefinition")));
    let (code, updated) = cluster.put(&path, &with(now, "StatusUpdate"));
    assert_eq!(code, 200, "{updated}");
    assert!(kinds(&updated).contains(&"StatusUpdate".to_owned()));
    let patch = json!({"status": {"conditions": with(updated, "StatusPatched")["status"]["conditions"]}});
    let (code, patched) = cluster.patch(&path, "merge-patch+json", &patch);
    assert_eq!(code, 200, "{patched}");
    // The server's own conditions are there again, and the others stay.
    std::thread::sleep(Duration::from_millis(200));
    let now = kinds(&cluster.get(&path).1);
    for kind in ["NamesAccepted", "Established", "StatusUpdate", "StatusPatched"] {
        assert!(now.contains(&kind.to_owned()), "{now:?}");
    }
    assert_eq!(cluster.post(WIDGETS, &widget("a", &json!({}))).0, 201);
}

#[test]
fn definitions_are_listed_and_deleted_by_label() {
    let cluster = Cluster::start();
    for number in 0..11 {
        let mut definition = widgets(&anything());
        definition["metadata"] = json!({"name": format!("widgets.g{number}.example.com")});
        definition["spec"]["group"] = json!(format!("g{number}.example.com"));
        definition["spec"]["names"]["shortNames"] = json!([]);
        if number < 10 {
            definition["metadata"]["labels"] = json!({"set": "ten"});
        }
        assert_eq!(cluster.post(DEFINITIONS, &definition).0, 201);
    }
    let labelled = format!("{DEFINITIONS}?labelSelector=set%3Dten");
    assert_eq!(cluster.get(&labelled).1["items"].as_array().unwrap().len(), 10);
    assert_eq!(cluster.delete(&labelled, &Value::Null).0, 200);
    within(Duration::from_secs(10), "only the other one stays", || {
        let (_, list) = cluster.get(DEFINITIONS);
        let items = list["items"].as_array().unwrap();
        items.len() == 1 && items[0]["metadata"]["name"] == "widgets.g10.example.com"
    });
}

#[test]
fn custom_objects_are_watched() {
    let cluster = Cluster::start();
    define(&cluster, &widgets(&anything()));
    let revision = cluster.get(WIDGETS).1["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in ["a", "b"] {
        assert_eq!(cluster.post(WIDGETS, &widget(name, &json!({}))).0, 201);
        let path = format!("{WIDGETS}/{name}");
        assert_eq!(
            cluster
                .patch(&path, "merge-patch+json", &json!({"spec": {"x": 1}}))
                .0,
            200
        );
        assert_eq!(cluster.delete(&path, &Value::Null).0, 200);
    }
    let path = format!(
        "{WIDGETS}?watch=1&resourceVersion={revision}&timeoutSeconds=1&fieldSelector=metadata.name%3Db"
    );
    let (_, body) = cluster.raw(Method::GET, &path, &[], b"");
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
    assert!(
        events
            .iter()
            .all(|event| event["object"]["metadata"]["name"] == "b")
    );
}

#[test]
fn defaults_of_requests_and_of_stored_objects() {
    let cluster = Cluster::start();
    let mut definition = widgets(&json!({}));
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
    define(&cluster, &definition);
    let bare =
        |name: &str| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}});
    let change = |patch: Value| {
        let path = format!("{DEFINITIONS}/widgets.example.com");
        let (code, answer) = cluster.patch(&path, "json-patch+json", &patch);
        assert_eq!(code, 200, "{answer}");
    };
    let at = |field: &str| format!("/spec/versions/0/schema/openAPIV3Schema/properties/{field}/default");
    assert_eq!(cluster.post(WIDGETS, &bare("one")).0, 201);
    change(json!([{"op": "add", "path": at("a"), "value": "A"}]));
    within(Duration::from_secs(1), "defaulted from storage", || {
        cluster.get(&format!("{WIDGETS}/one")).1["a"] == "A"
    });
    let (_, two) = cluster.post(WIDGETS, &bare("two"));
    assert_eq!((&two["a"], &two["b"]), (&json!("A"), &Value::Null));
    change(json!([{"op": "remove", "path": at("a")}, {"op": "add", "path": at("b"), "value": "B"}]));
    within(Duration::from_secs(1), "the other one is defaulted", || {
        cluster.get(&format!("{WIDGETS}/two")).1["b"] == "B"
    });
    assert_eq!(
        cluster.get(&format!("{WIDGETS}/two")).1["a"],
        "A",
        "it was stored"
    );
}

/// Applies text on the server, strictly.
fn apply(cluster: &Cluster, name: &str, body: &str) -> (u16, String) {
    let path = format!("{WIDGETS}/{name}?fieldManager=m&fieldValidation=Strict");
    let text = format!("apiVersion: example.com/v1\nkind: Widget\n{body}");
    let media = ("content-type", "application/apply-patch+yaml");
    let (code, answer) = cluster.request(Method::PATCH, &path, &[media], text.as_bytes());
    (code, answer["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn field_validation_without_a_schema() {
    let cluster = Cluster::start();
    let mut definition = widgets(&json!({}));
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = anything();
    define(&cluster, &definition);
    let body = "metadata: {name: a, finalizers: [example.com/f]}\nspec: {unknown: 1, cronSpec: '* * * * */5', ports: [{x: y}]}\n";
    assert_eq!(apply(&cluster, "a", body), (201, String::new()));
    let body = "metadata:\n  name: b\nspec:\n  unknown: 1\n  unknown: 2\n";
    let (code, message) = apply(&cluster, "b", body);
    assert_eq!(code, 400, "{message}");
    assert!(
        message.contains("line 7: key \"unknown\" already set in map"),
        "{message}"
    );
    let double =
        r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"b"},"spec":{"u":1,"u":2}}"#;
    let path = format!("{WIDGETS}?fieldValidation=Strict");
    let media = ("content-type", "application/json");
    let (code, answer) = cluster.request(Method::POST, &path, &[media], double.as_bytes());
    assert_eq!(code, 400, "{answer}");
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("duplicate field \"spec.u\""),
        "{answer}"
    );
}

#[test]
fn field_validation_with_a_schema() {
    let cluster = Cluster::start();
    let template = json!({"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {"type": "object"}}});
    define(
        &cluster,
        &widgets(&json!({"type": "object", "properties": {
            "cronSpec": {"type": "string"}, "template": template,
            "ports": {"type": "array", "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
                "x-kubernetes-list-type": "map", "items": {"type": "object", "required": ["containerPort", "protocol"],
                "properties": {"containerPort": {"type": "integer"}, "protocol": {"type": "string"}}}}}})),
    );
    let ports = "[{containerPort: 8080, protocol: TCP}]";
    let valid = format!("metadata: {{name: a}}\nspec: {{cronSpec: '* * * * */5', ports: {ports}}}\n");
    assert_eq!(apply(&cluster, "a", &valid), (201, String::new()));
    let extra =
        format!("metadata: {{name: b}}\nspec: {{extra: 1, cronSpec: '* * * * */5', ports: {ports}}}\n");
    let (code, message) = apply(&cluster, "b", &extra);
    assert_eq!(code, 500, "upstream's error has no code of its own");
    assert!(
        message.contains(".spec.extra: field not declared in schema"),
        "{message}"
    );
    let extra = format!(
        "metadata: {{name: b}}\nunknownField: u\nspec: {{cronSpec: '* * * * */5', ports: {ports}}}\n"
    );
    let (code, message) = apply(&cluster, "b", &extra);
    assert_eq!(code, 500, "{message}");
    assert!(
        message.contains(".unknownField: field not declared in schema"),
        "{message}"
    );
    // Unknown metadata, at the root and of an embedded object.
    let embedded = "{apiVersion: v1, kind: Pod, metadata: {name: x, unknownSubMeta: u}}";
    for (metadata, template, field) in [
        (
            "unknownMeta: u",
            "{apiVersion: v1, kind: Pod}",
            ".metadata.unknownMeta",
        ),
        ("labels: {}", embedded, ".spec.template.metadata.unknownSubMeta"),
    ] {
        let body = format!("metadata: {{name: b, {metadata}}}\nspec: {{template: {template}}}\n");
        let (code, message) = apply(&cluster, "b", &body);
        assert_eq!(code, 500, "{message}");
        let complaint = format!("{field}: field not declared in schema");
        assert!(message.contains(&complaint), "{message}");
    }
    let object = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "c", "unknownMeta": "u"},
        "spec": {"template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "unknownSubMeta": "u"}}}});
    let (code, answer) = cluster.post(&format!("{WIDGETS}?fieldValidation=Strict"), &object);
    let message = answer["message"].as_str().unwrap();
    assert_eq!(code, 400, "{answer}");
    for field in ["metadata.unknownMeta", "spec.template.metadata.unknownSubMeta"] {
        assert!(
            message.contains(&format!("unknown field \"{field}\"")),
            "{message}"
        );
    }
    let (code, _) = cluster.post(&format!("{WIDGETS}?fieldValidation=Ignore"), &object);
    assert_eq!(code, 201);
}
