//! Several versions, subresources, and what changes of a definition and restarts do to stored objects.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::{DEFINITIONS, WIDGETS, anything, condition, define, widget, widgets, within};
use crate::cluster::Cluster;

const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com";

fn two_versions() -> Value {
    let mut definition = widgets(&anything());
    let mut beta = definition["spec"]["versions"][0].clone();
    beta["name"] = json!("v1beta1");
    beta["storage"] = json!(false);
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .insert(0, beta);
    definition
}

#[test]
fn what_uses_a_deprecated_version_is_told_so() {
    let cluster = Cluster::start();
    let mut definition = two_versions();
    let mut alpha = definition["spec"]["versions"][0].clone();
    alpha["name"] = json!("v1alpha1");
    alpha["deprecated"] = json!(true);
    alpha["deprecationWarning"] = json!("widgets of old");
    definition["spec"]["versions"][0]["deprecated"] = json!(true);
    definition["spec"]["versions"].as_array_mut().unwrap().push(alpha);
    define(&cluster, &definition);
    let told = |version: &str| {
        cluster
            .kubectl(&["get", &format!("widgets.{version}.example.com")])
            .err
    };
    let beta = told("v1beta1");
    let why = "Warning: example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget\n";
    assert!(beta.contains(why), "{beta}");
    let alpha = told("v1alpha1");
    assert!(alpha.contains("Warning: widgets of old\n"), "{alpha}");
    let missing = cluster
        .kubectl(&["get", "widgets.v1beta1.example.com", "none"])
        .err;
    assert!(
        missing.contains(why) && missing.contains("not found"),
        "{missing}"
    );
    let new = told("v1");
    assert!(!new.contains("Warning"), "{new}");
    for (warning, mistake) in [
        (json!(""), "must not be an empty string"),
        (json!("x".repeat(257)), "must be <= 256 characters long"),
        (
            json!("a\nb"),
            "must only contain printable UTF-8 characters; non-printable character found at index 1",
        ),
    ] {
        let patch =
            json!([{"op": "replace", "path": "/spec/versions/2/deprecationWarning", "value": warning}]);
        let (code, status) = cluster.patch(DEFINITION, "json-patch+json", &patch);
        let message = status["message"].as_str().unwrap();
        assert!(code == 422 && message.contains(mistake), "{status}");
        let field = "spec.versions[2].deprecationWarning";
        assert_eq!(status["details"]["causes"][0]["field"], field);
    }
    // Without a better one, none is named.
    let newest = definition["spec"]["versions"].as_array_mut().unwrap();
    newest[1]["deprecated"] = json!(true);
    assert_eq!(
        cluster
            .patch(
                DEFINITION,
                "merge-patch+json",
                &json!({"spec": definition["spec"]})
            )
            .0,
        200
    );
    let why = "Warning: example.com/v1beta1 Widget is deprecated\n";
    within(Duration::from_secs(5), why, || told("v1beta1").contains(why));
}

#[test]
fn versions_are_rewritten_into_each_other() {
    let cluster = Cluster::start();
    define(&cluster, &two_versions());
    let (_, group) = cluster.get("/apis/example.com");
    assert_eq!(group["preferredVersion"]["version"], "v1", "GA before beta");
    let beta = WIDGETS.replace("/v1/", "/v1beta1/");
    let mut old = widget("a", &json!({"x": 1}));
    old["apiVersion"] = json!("example.com/v1beta1");
    let (code, made) = cluster.post(&beta, &old);
    assert_eq!(
        (code, &made["apiVersion"]),
        (201, &json!("example.com/v1beta1")),
        "{made}"
    );
    let (_, new) = cluster.get(&format!("{WIDGETS}/a"));
    assert_eq!(
        (&new["apiVersion"], &new["spec"]),
        (&json!("example.com/v1"), &json!({"x": 1}))
    );
    let (_, list) = cluster.get(&beta);
    assert_eq!(list["items"][0]["apiVersion"], "example.com/v1beta1");
    let (_, events) = cluster.raw(Method::GET, &format!("{beta}?watch=1&timeoutSeconds=1"), &[], b"");
    let event: Value = serde_json::from_slice(events.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(event["object"]["apiVersion"], "example.com/v1beta1");
    // Managers of one version apply in the other.
    let apply = |path: &str, version: &str, x: i64| {
        let mut object = widget("s", &json!({"x": x}));
        object["apiVersion"] = json!(version);
        let path = format!("{path}/s?fieldManager=m");
        let media = ("content-type", "application/apply-patch+yaml");
        cluster.request(
            Method::PATCH,
            &path,
            &[media],
            &serde_json::to_vec(&object).unwrap(),
        )
    };
    assert_eq!(apply(&beta, "example.com/v1beta1", 1).0, 201);
    let (code, made) = apply(WIDGETS, "example.com/v1", 2);
    assert_eq!((code, &made["spec"]["x"]), (200, &json!(2)), "{made}");
    assert_eq!(
        made["metadata"]["managedFields"].as_array().unwrap().len(),
        1,
        "{made}"
    );

    // The storage version changes: both are stored, and neither may go.
    let (_, mut definition) = cluster.get(DEFINITION);
    definition["spec"]["versions"][0]["storage"] = json!(true);
    definition["spec"]["versions"][1]["storage"] = json!(false);
    let (code, changed) = cluster.put(DEFINITION, &definition);
    assert_eq!(
        (code, &changed["status"]["storedVersions"]),
        (200, &json!(["v1", "v1beta1"])),
        "{changed}"
    );
    let mut without = changed.clone();
    without["spec"]["versions"].as_array_mut().unwrap().pop();
    let (code, refused) = cluster.put(DEFINITION, &without);
    assert_eq!(code, 422);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions"),
        "{message}"
    );
    assert_eq!(cluster.get(&format!("{beta}/a")).1["spec"], json!({"x": 1}));
    // Whoever has written all objects anew says so in the status; what it calls its names is checked there.
    let status = format!("{DEFINITION}/status");
    let patch = |body: &Value| cluster.patch(&status, "merge-patch+json", &json!({"status": body}));
    let (code, refused) = patch(&json!({"acceptedNames": {"plural": "1", "kind": "K", "listKind": "K"}}));
    let message = refused["message"].as_str().unwrap();
    assert_eq!(code, 422, "{message}");
    for complaint in [
        "status.acceptedNames.plural: Invalid value: \"1\"",
        "status.acceptedNames.listKind: Invalid value: \"K\": kind and listKind may not be the same",
    ] {
        assert!(message.contains(complaint), "{message}");
    }
    assert_eq!(patch(&json!({"storedVersions": ["v1beta1"]})).0, 200);
    assert_eq!(patch(&json!({"storedVersions": ["v1", "v1beta1"]})).0, 200);
    // One that is not served is gone for clients.
    let mut unserved = cluster.get(DEFINITION).1;
    unserved["spec"]["versions"][1]["served"] = json!(false);
    assert_eq!(cluster.put(DEFINITION, &unserved).0, 200);
    within(Duration::from_secs(1), "not served", || {
        cluster.get(WIDGETS).0 == 404
    });
    assert_eq!(cluster.get(&beta).0, 200);
}

#[test]
fn status_and_scale() {
    let cluster = Cluster::start();
    let mut definition = widgets(&json!({"type": "object", "properties": {"count": {"type": "integer"}}}));
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}, "scale": {
        "specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count", "labelSelectorPath": ".status.selector"}});
    define(&cluster, &definition);
    let (_, list) = cluster.get("/apis/example.com/v1");
    let names: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["widgets", "widgets/scale", "widgets/status"]);
    let mut object = widget("a", &json!({"count": 2}));
    object["status"] = json!({"count": 9});
    let (_, made) = cluster.post(WIDGETS, &object);
    assert_eq!(
        (&made["status"], &made["metadata"]["generation"]),
        (&Value::Null, &json!(1))
    );
    let (one, status) = (format!("{WIDGETS}/a"), format!("{WIDGETS}/a/status"));
    let patch = json!({"spec": {"count": 5}, "status": {"count": 1, "selector": "app=a"}, "metadata": {"labels": {"l": "1"}}});
    let (code, changed) = cluster.patch(&status, "merge-patch+json", &patch);
    assert_eq!(code, 200, "{changed}");
    assert_eq!(
        (
            &changed["spec"]["count"],
            &changed["status"]["count"],
            &changed["metadata"]["labels"]
        ),
        (&json!(2), &json!(1), &Value::Null)
    );
    assert_eq!(changed["metadata"]["generation"], 1);
    let (_, changed) = cluster.patch(
        &one,
        "merge-patch+json",
        &json!({"status": {"count": 7}, "spec": {"count": 3}}),
    );
    assert_eq!(
        (&changed["status"]["count"], &changed["metadata"]["generation"]),
        (&json!(1), &json!(2))
    );
    let scale = format!("{one}/scale");
    let (_, shown) = cluster.get(&scale);
    assert_eq!(
        (&shown["spec"], &shown["status"]),
        (
            &json!({"replicas": 3}),
            &json!({"replicas": 1, "selector": "app=a"})
        )
    );
    let (code, shown) = cluster.patch(&scale, "merge-patch+json", &json!({"spec": {"replicas": 4}}));
    assert_eq!((code, &shown["spec"]["replicas"]), (200, &json!(4)), "{shown}");
    let (_, now) = cluster.get(&one);
    assert_eq!(
        (&now["spec"], &now["metadata"]["generation"]),
        (&json!({"count": 4}), &json!(3))
    );
    let scaled = cluster.kubectl(&["scale", "widget/a", "--replicas=6"]);
    assert!(scaled.ok().contains("scaled"));
    assert_eq!(cluster.get(&one).1["spec"]["count"], 6);
    // Without replicas there is no scale.
    assert_eq!(cluster.post(WIDGETS, &widget("b", &json!({}))).0, 201);
    let (code, status) = cluster.get(&format!("{WIDGETS}/b/scale"));
    assert_eq!(code, 500);
    let message = "Internal error occurred: the spec replicas field \".spec.count\" does not exist";
    assert_eq!(status["message"], message);
}

#[test]
fn the_communitys_groups_say_who_approved_them() {
    let cluster = Cluster::start();
    let mut definition = widgets(&anything());
    definition["metadata"]["name"] = "widgets.example.k8s.io".into();
    definition["spec"]["group"] = "example.k8s.io".into();
    for wrong in [Value::Null, "yes".into()] {
        definition["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": wrong});
        let (code, refused) = cluster.post(DEFINITIONS, &definition);
        assert_eq!(code, 422, "{refused}");
    }
    definition["metadata"]["annotations"] =
        json!({"api-approved.kubernetes.io": "unapproved, a test", "other": "x"});
    define(&cluster, &definition);
    let one = format!("{DEFINITIONS}/widgets.example.k8s.io");
    let told = |cluster: &Cluster| condition(&cluster.get(&one).1, "KubernetesAPIApprovalPolicyConformant");
    assert_eq!(told(&cluster)["reason"], "UnapprovedAnnotation");
    let approved =
        json!({"metadata": {"annotations": {"api-approved.kubernetes.io": "https://example.com/1"}}});
    assert_eq!(cluster.patch(&one, "merge-patch+json", &approved).0, 200);
    within(Duration::from_secs(5), "approved", || {
        told(&cluster)["status"] == "True"
    });
    let nothing = json!({"metadata": {"annotations": {"api-approved.kubernetes.io": null}}});
    assert_eq!(cluster.patch(&one, "merge-patch+json", &nothing).0, 422);
}

#[test]
fn changes_of_the_schema_and_restarts_reach_stored_objects() {
    let mut cluster = Cluster::start();
    let mut definition = widgets(&json!({"type": "object", "properties": {
        "old": {"type": "string"}, "color": {"type": "string"}}}));
    let color = json!({"jsonPath": ".spec.color"});
    definition["spec"]["versions"][0]["selectableFields"] = json!([color, color]);
    let (code, refused) = cluster.post(DEFINITIONS, &definition);
    let told = "spec.versions[0].selectableFields[1].jsonPath: Duplicate value: \".spec.color\"";
    assert!(
        code == 422 && refused["message"].as_str().unwrap().contains(told),
        "{refused}"
    );
    definition["spec"]["versions"][0]["selectableFields"] = json!([color]);
    define(&cluster, &definition);
    assert_eq!(
        cluster
            .post(WIDGETS, &widget("a", &json!({"old": "x", "color": "red"})))
            .0,
        201
    );
    assert_eq!(
        cluster.post(WIDGETS, &widget("b", &json!({"color": "blue"}))).0,
        201
    );
    let names = |cluster: &Cluster, selector: &str| -> Vec<String> {
        let (code, list) = cluster.get(&format!("{WIDGETS}?fieldSelector={selector}"));
        assert_eq!(code, 200, "{list}");
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&cluster, "spec.color%3Dred"), ["a"]);
    assert_eq!(names(&cluster, "spec.color!%3Dred"), ["b"]);
    assert_eq!(
        cluster.get(&format!("{WIDGETS}?fieldSelector=spec.old%3Dx")).0,
        400
    );
    let (_, mut definition) = cluster.get(DEFINITION);
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({
        "type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "integer", "default": 3}}});
    // A watch ends when its definition changes, so that clients see everything as it is now.
    let began = Instant::now();
    let ended = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            cluster.raw(
                Method::GET,
                &format!("{WIDGETS}?watch=1&timeoutSeconds=60"),
                &[],
                b"",
            );
            began.elapsed()
        });
        std::thread::sleep(Duration::from_millis(500));
        let (code, changed) = cluster.put(DEFINITION, &definition);
        assert_eq!(code, 200, "{changed}");
        watch.join().unwrap()
    });
    assert!(
        ended > Duration::from_millis(400) && ended < Duration::from_secs(20),
        "{ended:?}"
    );
    let one = format!("{WIDGETS}/a");
    within(Duration::from_secs(1), "defaulted and pruned on read", || {
        cluster.get(&one).1["spec"] == json!({"color": "red", "size": 3})
    });
    assert_eq!(
        cluster.get(WIDGETS).1["items"][1]["spec"],
        json!({"color": "blue", "size": 3})
    );
    cluster.stop();
    cluster.resume();
    assert_eq!(cluster.get(&one).1["spec"], json!({"color": "red", "size": 3}));
    assert_eq!(names(&cluster, "spec.color%3Dred"), ["a"]);
    let (code, made) = cluster.patch(&one, "merge-patch+json", &json!({"spec": {"size": 4}}));
    assert_eq!(
        (code, &made["spec"]),
        (200, &json!({"color": "red", "size": 4})),
        "{made}"
    );
    assert_eq!(cluster.get(DEFINITIONS).1["items"].as_array().unwrap().len(), 1);
}
