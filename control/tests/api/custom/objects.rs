//! One definition's life: discovery, objects, deletion.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{DEFINITIONS, WIDGETS, anything, condition, define, widget, widgets, within};
use crate::cluster::Cluster;

#[test]
fn a_definition_makes_a_kind() {
    let cluster = Cluster::start();
    assert_eq!(cluster.get(WIDGETS).0, 404);
    define(&cluster, &widgets(&anything()));
    let (_, stored) = cluster.get(&format!("{DEFINITIONS}/widgets.example.com"));
    assert_eq!(stored["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(stored["spec"]["names"]["singular"], "widget");
    assert_eq!(stored["status"]["acceptedNames"], stored["spec"]["names"]);
    assert_eq!(condition(&stored, "NamesAccepted")["reason"], "NoConflicts");
    assert_eq!(
        condition(&stored, "Established")["reason"],
        "InitialNamesAccepted"
    );

    let (_, list) = cluster.get("/apis/example.com/v1");
    assert_eq!(list["resources"][0]["name"], "widgets");
    assert_eq!(list["resources"][0]["shortNames"], json!(["wd"]));
    // The hash of example.com/v1/Widget; and those of real clusters.
    assert_eq!(list["resources"][0]["storageVersionHash"], "gIwvi5rymmg=");
    for (group, resource, hash) in [
        ("/api/v1", "pods", json!("xPOwRZ+Yhw8=")),
        ("/api/v1", "events", json!("r2yiGXH7wu8=")),
        ("/apis/events.k8s.io/v1", "events", json!("r2yiGXH7wu8=")),
        ("/apis/apps/v1", "deployments", json!("8aSe+NMegvE=")),
        (
            "/apis/autoscaling/v1",
            "horizontalpodautoscalers",
            json!("qwQve8ut294="),
        ),
        ("/apis/authentication.k8s.io/v1", "tokenreviews", json!(null)),
        ("/api/v1", "pods/status", json!(null)),
    ] {
        let (_, list) = cluster.get(group);
        let mut all = list["resources"].as_array().unwrap().iter();
        let found = all.find(|one| one["name"] == resource).unwrap();
        assert_eq!(found["storageVersionHash"], hash, "{group} {resource}");
    }
    let accept = (
        "accept",
        "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
    );
    let (_, all) = cluster.request(Method::GET, "/apis", &[accept], b"");
    let groups = all["items"].as_array().unwrap();
    let group = groups
        .iter()
        .find(|group| group["metadata"]["name"] == "example.com")
        .unwrap();
    assert_eq!(
        group["versions"][0]["resources"][0]["responseKind"]["kind"],
        "Widget"
    );

    let (_, document) = cluster.get("/openapi/v3/apis/example.com/v1");
    let schema = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(
        schema["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"],
        true
    );
    assert_eq!(schema["properties"]["kind"]["type"], "string");
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    let (_, document) = cluster.get("/openapi/v2");
    assert_eq!(document["definitions"]["com.example.v1.Widget"]["type"], "object");
    assert!(
        document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["get"].is_object()
    );

    let (code, made) = cluster.post(WIDGETS, &widget("a", &json!({"x": 1})));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(
        made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"],
        json!({".": {}, "f:x": {}})
    );
    assert_eq!(cluster.post(WIDGETS, &widget("a", &json!({}))).0, 409);
    let one = format!("{WIDGETS}/a");
    let (code, changed) = cluster.patch(&one, "merge-patch+json", &json!({"spec": {"y": 2}}));
    assert_eq!(
        (code, &changed["metadata"]["generation"]),
        (200, &json!(2)),
        "{changed}"
    );
    let labelled = cluster.patch(
        &one,
        "merge-patch+json",
        &json!({"metadata": {"labels": {"l": "1"}}}),
    );
    assert_eq!(
        labelled.1["metadata"]["generation"], 2,
        "metadata is no desired state"
    );
    let patch = json!([{"op": "remove", "path": "/spec/x"}]);
    assert_eq!(
        cluster.patch(&one, "json-patch+json", &patch).1["spec"],
        json!({"y": 2})
    );
    let (code, status) = cluster.patch(&one, "strategic-merge-patch+json", &json!({"spec": {"z": 1}}));
    assert_eq!(code, 415, "{status}");
    let (_, list) = cluster.get(&format!("{WIDGETS}?labelSelector=l%3D1"));
    assert_eq!(
        (&list["kind"], &list["items"][0]["metadata"]["name"]),
        (&json!("WidgetList"), &json!("a"))
    );
    let table = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let (_, table) = cluster.request(Method::GET, WIDGETS, &[table], b"");
    let titles: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(titles, ["Name", "Age"]);
    // The status is no subresource here, so it is an ordinary field.
    assert_eq!(cluster.get(&format!("{one}/status")).0, 404);
    let (code, _) = cluster.patch(&one, "merge-patch+json", &json!({"status": {"ok": true}}));
    assert_eq!((code, &cluster.get(&one).1["status"]["ok"]), (200, &json!(true)));
    let watch = format!("{WIDGETS}?watch=1&timeoutSeconds=1");
    let (_, events) = cluster.raw(Method::GET, &watch, &[], b"");
    let event: Value = serde_json::from_slice(events.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["kind"]),
        (&json!("ADDED"), &json!("Widget"))
    );
    assert_eq!(cluster.delete(&one, &Value::Null).0, 200);
    assert_eq!(cluster.get(&one).0, 404);
}

#[test]
fn objects_are_pruned_defaulted_and_validated() {
    let cluster = Cluster::start();
    define(
        &cluster,
        &widgets(&json!({"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 10},
            "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "cron": {"type": "string", "pattern": "^(\\d+|\\*)$"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "name": {"type": "string"}}}},
        }})),
    );
    let json = ("content-type", "application/json");
    let write = |query: &str, object: &Value| {
        let body = serde_json::to_vec(object).unwrap();
        cluster.request(Method::POST, &format!("{WIDGETS}{query}"), &[json], &body)
    };
    let (code, made) = write("", &widget("a", &json!({"size": 2, "shape": "round"})));
    assert_eq!(
        (code, &made["spec"]),
        (201, &json!({"size": 2, "color": "red"})),
        "{made}"
    );
    let (code, refused) = write(
        "?fieldValidation=Strict",
        &widget("b", &json!({"size": 2, "shape": "round"})),
    );
    assert_eq!(code, 400);
    assert_eq!(
        refused["message"],
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.shape\""
    );
    for (spec, message) in [
        (
            json!({}),
            "Widget.example.com \"b\" is invalid: spec.size: Required value",
        ),
        (
            json!({"size": 11}),
            "Widget.example.com \"b\" is invalid: spec.size: Invalid value: 11: spec.size in body should be less than or \
             equal to 10",
        ),
        (
            json!({"size": "1"}),
            "Widget.example.com \"b\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of type \
             integer: \"string\"",
        ),
        (
            json!({"size": 1, "color": "green"}),
            "Widget.example.com \"b\" is invalid: spec.color: Unsupported value: \"green\": supported values: \"red\", \
             \"blue\"",
        ),
        (
            json!({"size": 1, "ports": [{"port": 1}, {"port": 1}]}),
            "Widget.example.com \"b\" is invalid: spec.ports[1]: Duplicate value: {\"port\":1}",
        ),
    ] {
        let (code, refused) = write("", &widget("b", &spec));
        assert_eq!((code, &refused["message"]), (422, &json!(message)), "{spec}");
    }
    let wrong = json!({"metadata": {"name": "c", "labels": {"a": 1}}, "spec": {"size": 1}});
    assert_eq!(write("", &wrong).0, 400);
    // Server-side apply merges the list by its key.
    let apply = |manager: &str, ports: Value, size: Value| {
        let mut object = widget("s", &json!({"ports": ports}));
        if !size.is_null() {
            object["spec"]["size"] = size;
        }
        let path = format!("{WIDGETS}/s?fieldManager={manager}");
        let media = ("content-type", "application/apply-patch+yaml");
        cluster.request(
            Method::PATCH,
            &path,
            &[media],
            &serde_json::to_vec(&object).unwrap(),
        )
    };
    let (code, made) = apply("one", json!([{"port": 1, "name": "a"}]), json!(3));
    assert_eq!(code, 201, "{made}");
    let (code, made) = apply("two", json!([{"port": 2}]), Value::Null);
    assert_eq!(code, 200, "{made}");
    assert_eq!(
        made["spec"]["ports"],
        json!([{"port": 1, "name": "a"}, {"port": 2}])
    );
    let (code, conflict) = apply("two", json!([{"port": 1, "name": "b"}]), Value::Null);
    assert_eq!(code, 409, "{conflict}");
    let message = conflict["message"].as_str().unwrap();
    assert!(
        message.contains("conflict with \"one\": .spec.ports[port=1].name"),
        "{message}"
    );
    let (_, made) = apply("one", json!([]), json!(3));
    assert_eq!(made["spec"]["ports"], json!([{"port": 2}]));
}

#[test]
fn bad_definitions_are_refused() {
    let cluster = Cluster::start();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut definition = widgets(&anything());
        change(&mut definition);
        let (code, status) = cluster.post(DEFINITIONS, &definition);
        assert_eq!(code, 422, "{status}");
        status["message"].as_str().unwrap().to_owned()
    };
    let message = refused(&|definition| definition["metadata"]["name"] = json!("x.example.com"));
    assert!(
        message.contains("must be spec.names.plural+\".\"+spec.group"),
        "{message}"
    );
    let message = refused(&|definition| {
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({});
    });
    assert!(
        message.contains(
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified \
             object fields"
        ),
        "{message}"
    );
    let message = refused(&|definition| definition["spec"]["versions"][0]["storage"] = json!(false));
    assert!(
        message.contains("must have exactly one version marked as storage version"),
        "{message}"
    );
    let message = refused(&|definition| {
        definition["spec"]["group"] = json!("example.k8s.io");
        definition["metadata"]["name"] = json!("widgets.example.k8s.io");
    });
    assert!(
        message.contains("protected groups must have approval annotation"),
        "{message}"
    );
    // Names that are taken.
    define(&cluster, &widgets(&anything()));
    let mut other = widgets(&anything());
    other["metadata"]["name"] = json!("gadgets.example.com");
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd"]});
    assert_eq!(cluster.post(DEFINITIONS, &other).0, 201);
    let path = format!("{DEFINITIONS}/gadgets.example.com");
    within(Duration::from_secs(5), "refused", || {
        condition(&cluster.get(&path).1, "NamesAccepted")["reason"] == "ShortNamesConflict"
    });
    assert_eq!(condition(&cluster.get(&path).1, "Established")["status"], "False");
    assert_eq!(cluster.get("/apis/example.com/v1/gadgets").0, 404);
    // Once the other is gone, they are free.
    cluster.delete(&format!("{DEFINITIONS}/widgets.example.com"), &Value::Null);
    within(Duration::from_secs(5), "established", || {
        cluster.get("/apis/example.com/v1/gadgets").0 == 200
    });
}

#[test]
fn a_deleted_definition_takes_its_objects_along() {
    let cluster = Cluster::start();
    define(&cluster, &widgets(&anything()));
    for name in ["a", "b"] {
        assert_eq!(cluster.post(WIDGETS, &widget(name, &json!({}))).0, 201);
    }
    let mut held = widget("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(cluster.post(WIDGETS, &held).0, 201);
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(cluster.delete(&path, &Value::Null).0, 200);
    within(Duration::from_secs(5), "objects are deleted", || {
        cluster.get(WIDGETS).1["items"]
            .as_array()
            .is_some_and(|items| items.len() == 1)
    });
    let (_, definition) = cluster.get(&path);
    assert_eq!(condition(&definition, "Terminating")["status"], "True");
    assert_eq!(
        definition["metadata"]["finalizers"],
        json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    within(Duration::from_secs(5), "no creates meanwhile", || {
        cluster.post(WIDGETS, &widget("late", &json!({}))).0 == 405
    });
    let one = format!("{WIDGETS}/held");
    assert!(!cluster.get(&one).1["metadata"]["deletionTimestamp"].is_null());
    let body = b"[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]";
    let media = ("content-type", "application/json-patch+json");
    let (code, answer) = cluster.request(Method::PATCH, &one, &[media], body);
    assert_eq!(code, 200, "{answer}");
    within(Duration::from_secs(5), "the definition goes", || {
        cluster.get(&path).0 == 404
    });
    within(Duration::from_secs(1), "no longer served", || {
        cluster.get(WIDGETS).0 == 404
    });
    assert_eq!(cluster.get("/apis/example.com").0, 404);
    // The same again begins with nothing.
    define(&cluster, &widgets(&anything()));
    assert_eq!(cluster.get(WIDGETS).1["items"], json!([]));
}

#[test]
fn finalizers_without_a_domain_are_warned_of() {
    let cluster = Cluster::start();
    define(&cluster, &widgets(&anything()));
    let mut held = widget("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["hold", "example.com/hold", "orphan"]);
    let created = cluster.kubectl_with(&["create", "-f", "-"], &held.to_string());
    let warning = "Warning: metadata.finalizers: \"hold\": prefer a domain-qualified finalizer name including a path (/) to \
                   avoid accidental conflicts with other finalizer writers\n";
    assert_eq!(created.err, warning);
    let one = format!("{WIDGETS}/held");
    let (_, stored) = cluster.get(&one);
    assert_eq!(stored["metadata"]["finalizers"], held["metadata"]["finalizers"]);
    // Only of those that are new.
    let changed = cluster.kubectl(&["label", "widgets.v1.example.com", "held", "a=b"]);
    assert_eq!(changed.err, "");
}

#[test]
fn namespaces_and_owners_take_custom_objects_along() {
    let cluster = Cluster::start();
    define(&cluster, &widgets(&anything()));
    let space = json!({"metadata": {"name": "space"}});
    assert_eq!(cluster.post("/api/v1/namespaces", &space).0, 201);
    let inside = "/apis/example.com/v1/namespaces/space/widgets";
    assert_eq!(cluster.post(inside, &widget("a", &json!({}))).0, 201);
    let (_, owner) = cluster.post(WIDGETS, &widget("owner", &json!({})));
    let mut owned = widget("owned", &json!({}));
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    assert_eq!(cluster.post(WIDGETS, &owned).0, 201);
    cluster.delete("/api/v1/namespaces/space", &Value::Null);
    cluster.delete(&format!("{WIDGETS}/owner"), &Value::Null);
    within(Duration::from_secs(10), "the namespace goes", || {
        cluster.get("/api/v1/namespaces/space").0 == 404
    });
    within(Duration::from_secs(10), "what is owned goes", || {
        cluster.get(&format!("{WIDGETS}/owned")).0 == 404
    });
}
