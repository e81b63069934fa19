//! Apply itself: merging, conflicts, errors, rights.

use http::Method;
use serde_json::json;

use super::{apply, entry, managers};
use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn applies_create_merge_conflict_and_remove() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {x: y}\ndata: {k: v, l: w}\n";
    let (code, dry) = apply(&cluster, &a, "fieldManager=one&dryRun=All", config);
    assert_eq!((code, &dry["data"]["k"]), (201, &json!("v")));
    assert_eq!(cluster.get(&a).0, 404);
    let (code, created) = apply(&cluster, &a, "fieldManager=one", config);
    assert_eq!(code, 201, "{created}");
    assert_eq!(entry(&created, "one", "")["operation"], "Apply");
    assert_eq!(
        entry(&created, "one", "")["fieldsV1"],
        json!({"f:data": {"f:k": {}, "f:l": {}}, "f:metadata": {"f:labels": {"f:x": {}}}})
    );
    let (code, same) = apply(&cluster, &a, "fieldManager=one", config);
    assert_eq!((code, &same), (200, &created));
    let other = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"2","m":"3"}}"#;
    let (code, refused) = apply(&cluster, &a, "fieldManager=two", other);
    assert_eq!((code, refused["reason"].as_str()), (409, Some("Conflict")));
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"one\": .data.k"
    );
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.k"}])
    );
    let (code, forced) = apply(&cluster, &a, "fieldManager=two&force=true", other);
    assert_eq!(
        (code, &forced["data"]),
        (200, &json!({"k": "2", "l": "w", "m": "3"}))
    );
    let less = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let (_, less) = apply(&cluster, &a, "fieldManager=one", less);
    assert_eq!(less["data"], json!({"k": "2", "m": "3"}));
    assert_eq!((less["metadata"].get("labels"), managers(&less)), (None, 1));
    let stale = other.replace("\"name\":\"a\"", "\"name\":\"a\",\"resourceVersion\":\"1\"");
    assert_eq!(apply(&cluster, &a, "fieldManager=two", &stale).0, 409);
}

#[test]
fn errors_are_upstreams() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let good = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let refused = |query: &str, body: &str, code: u16, message: &str| {
        let (found, status) = apply(&cluster, &a, query, body);
        assert_eq!(
            (found, status["message"].as_str().unwrap_or("")),
            (code, message),
            "{body}"
        );
    };
    refused(
        "",
        good,
        422,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    );
    let me = "fieldManager=me";
    refused(
        me,
        &good.replace("\"v1\"", "\"v2\""),
        400,
        "invalid object type: /v2, Kind=ConfigMap",
    );
    refused(
        me,
        &good.replace("ConfigMap", "Secret"),
        400,
        "invalid object type: /v1, Kind=Secret",
    );
    refused(
        me,
        r#"{"metadata":{"name":"a"}}"#,
        400,
        "invalid object type: /, Kind=",
    );
    refused(
        me,
        &good.replace("\"name\":\"a\"", "\"name\":\"a\",\"managedFields\":[]"),
        400,
        "metadata.managedFields must be nil",
    );
    refused(
        me,
        &good.replace("\"a\"", "\"b\""),
        400,
        "the name of the object (b) does not match the name on the URL (a)",
    );
    refused(
        me,
        &good.replace("\"name\":\"a\"", ""),
        400,
        "the name of the object (a based on URL) was undeterminable: name must be provided",
    );
    refused(
        me,
        &good.replace("\"metadata\"", "\"datas\":1,\"metadata\""),
        500,
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .datas: field not declared in schema",
    );
    refused(
        me,
        &good.replace("\"name\":\"a\"", "\"name\":\"a\",\"uid\":\"x\""),
        409,
        "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid x, and no \
         existing object was found",
    );
    let (code, status) = apply(&cluster, &a, me, "a: [");
    assert_eq!(code, 400);
    let text = status["message"].as_str().unwrap();
    assert!(text.starts_with("error decoding YAML: "), "{text}");
    for body in ["[]", "x", "", "null"] {
        assert_eq!(apply(&cluster, &a, me, body).0, 400, "{body}");
    }
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: a, x: b}\n";
    let (code, status) = apply(&cluster, &a, "fieldManager=me&fieldValidation=Strict", twice);
    assert_eq!(code, 400, "{status}");
    assert_eq!(apply(&cluster, &a, me, twice).0, 201);
    let bomb = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x,".repeat(500_000),
        "*a,".repeat(500_000)
    );
    assert_eq!(apply(&cluster, &a, me, &bomb).0, 400);
    assert_eq!(
        cluster
            .patch(&format!("{a}?force=true"), "merge-patch+json", &json!({}))
            .1["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
    assert_eq!(
        cluster
            .patch(&format!("{a}?fieldManager=me"), "apply-patch+cbor", &json!({}))
            .0,
        415,
        "off by default upstream, too"
    );
}

#[test]
fn who_may_only_patch_does_not_create() {
    let cluster = Cluster::start();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "p"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "p"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "p"},
        "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    assert_eq!(cluster.post(&format!("{rbac}/roles"), &role).0, 201);
    assert_eq!(cluster.post(&format!("{rbac}/rolebindings"), &binding).0, 201);
    let eve = |config: &str| {
        let headers = [
            ("content-type", "application/apply-patch+yaml"),
            ("impersonate-user", "eve"),
        ];
        let path = format!("{MAPS}/a?fieldManager=eve");
        cluster.request(Method::PATCH, &path, &headers, config.as_bytes())
    };
    let config = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"e":"1"}}"#;
    let (code, refused) = eve(config);
    assert_eq!(
        (code, refused["message"].as_str().unwrap_or("")),
        (
            403,
            "configmaps \"a\" is forbidden: User \"eve\" cannot create resource \"configmaps\" in API group \"\" in the \
             namespace \"default\""
        )
    );
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    assert_eq!(eve(config).0, 200);
}
