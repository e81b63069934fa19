//! Objects that were stored before the schema of their definition became stricter.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{DEFINITIONS, WIDGETS, define, widget, widgets, within};
use crate::cluster::Cluster;

#[test]
fn what_has_become_too_dear_to_validate_is_labelled_and_deleted() {
    let cluster = Cluster::start();
    let schema = |x: &Value| json!({"type": "object", "properties": {"x": x, "y": {"type": "integer"}}});
    define(&cluster, &widgets(&schema(&json!({"type": "string"}))));
    let text = "ab".repeat(500_000);
    let mut held = widget("held", &json!({"x": text, "y": 1}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(cluster.post(WIDGETS, &held).0, 201);

    // From here on, its text would take minutes to look at.
    let dear = json!({"type": "string", "pattern": "[ab]*a[ab]{1000}$"});
    let (code, changed) = cluster.patch(
        &format!("{DEFINITIONS}/widgets.example.com"),
        "json-patch+json",
        &json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
            "value": schema(&dear)}]),
    );
    assert_eq!(code, 200, "{changed}");
    let path = format!("{WIDGETS}/held");
    let merge = |patch: Value| cluster.patch(&path, "merge-patch+json", &patch).0;
    within(Duration::from_secs(5), "the schema is the new one", || {
        cluster
            .post(&format!("{WIDGETS}?dryRun=All"), &widget("new", &held["spec"]))
            .0
            == 422
    });
    // What could not be looked at may not change, nor what stands beside it.
    assert_eq!(merge(json!({"spec": {"x": format!("{text}a")}})), 422);
    assert_eq!(merge(json!({"spec": {"y": 2}})), 422);
    assert_eq!(merge(json!({"spec": {"y": "none"}})), 422);
    assert_eq!(merge(json!({"metadata": {"labels": {"a": "b"}}})), 200);
    assert_eq!(merge(json!({"metadata": {"labels": {"a": "not valid"}}})), 422);
    // It becomes valid.
    assert_eq!(
        cluster
            .patch(
                &format!("{path}?dryRun=All"),
                "merge-patch+json",
                &json!({"spec": {"x": "a".repeat(1001)}}),
            )
            .0,
        200
    );
    let (code, _) = cluster.request(Method::DELETE, &path, &[], b"");
    assert_eq!(code, 200);
    assert_eq!(merge(json!({"metadata": {"finalizers": null}})), 200);
    assert_eq!(cluster.get(&path).0, 404);
}
