//! Server-side apply and managedFields, over HTTPS and with the real kubectl.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn apply(cluster: &Cluster, path: &str, query: &str, body: &str) -> (u16, Value) {
    let media = [("content-type", "application/apply-patch+yaml")];
    cluster.request(Method::PATCH, &format!("{path}?{query}"), &media, body.as_bytes())
}

/// The entry of a manager.
#[track_caller]
fn entry<'a>(object: &'a Value, manager: &str, subresource: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .find(|entry| {
            entry["manager"] == manager && entry["subresource"].as_str().unwrap_or("") == subresource
        })
        .unwrap_or_else(|| panic!("no {manager} {subresource} in {:#}", object["metadata"]))
}

fn managers(object: &Value) -> usize {
    object["metadata"]["managedFields"].as_array().map_or(0, Vec::len)
}

#[test]
fn every_write_names_its_manager() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let (_, created) = cluster.post(&format!("{MAPS}?fieldManager=creator"), &config_map("a", "1"));
    let made = entry(&created, "creator", "");
    assert_eq!(
        (&made["operation"], &made["apiVersion"], &made["fieldsType"]),
        (&json!("Update"), &json!("v1"), &json!("FieldsV1"))
    );
    assert_eq!(
        made["fieldsV1"],
        json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:app": {}}}})
    );
    let patch = json!({"data": {"x": "y"}});
    let (_, patched) = cluster.patch(&format!("{a}?fieldManager=patcher"), "merge-patch+json", &patch);
    assert_eq!(
        entry(&patched, "patcher", "")["fieldsV1"],
        json!({"f:data": {"f:x": {}}})
    );
    // Nothing changed: no new version, and no new time.
    let (_, same) = cluster.patch(&format!("{a}?fieldManager=other"), "merge-patch+json", &patch);
    assert_eq!(same, patched);
    // The client's name is the first word of its user agent.
    let agent = [
        ("content-type", "application/merge-patch+json"),
        ("user-agent", "robot/1.0 (linux) x"),
    ];
    let body = br#"{"data":{"r":"1"}}"#;
    let (_, patched) = cluster.request(Method::PATCH, &a, &agent, body);
    assert_eq!(
        entry(&patched, "robot", "")["fieldsV1"],
        json!({"f:data": {"f:r": {}}})
    );
    // Only an administrator who sends an empty list makes the object forget; after that nobody is tracked.
    let forget = json!({"metadata": {"managedFields": [{}]}});
    let (_, forgot) = cluster.patch(&a, "merge-patch+json", &forget);
    assert_eq!(managers(&forgot), 0);
    let (_, patched) = cluster.patch(&a, "merge-patch+json", &json!({"data": {"z": "1"}}));
    assert_eq!(managers(&patched), 0);
    assert_eq!(
        cluster
            .post(
                &format!("{MAPS}?fieldManager={}", "x".repeat(129)),
                &config_map("b", "1")
            )
            .1["message"],
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes"
    );
}

#[test]
fn clients_may_name_managers_that_make_sense() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let mut map = config_map("a", "1");
    let theirs = json!([{"manager": "them", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:k": {}}}, "time": "2020-01-01T00:00:00Z"}]);
    map["metadata"]["managedFields"] = theirs.clone();
    let (_, created) = cluster.post(&format!("{MAPS}?fieldManager=me"), &map);
    assert_eq!(
        (
            managers(&created),
            entry(&created, "me", "")["operation"].as_str()
        ),
        (1, Some("Update"))
    );
    let (code, named) = cluster.put(&a, &map);
    assert_eq!((code, &named["metadata"]["managedFields"]), (200, &theirs));
    for bad in [
        json!([{"manager": "m"}]),
        json!([{"manager": "m", "operation": "Apply", "apiVersion": "v1"}]),
        json!([{"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}]),
        json!([{"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": 1}}]),
    ] {
        map["metadata"]["managedFields"] = bad.clone();
        let (code, kept) = cluster.put(&a, &map);
        assert_eq!(
            (code, &kept["metadata"]["managedFields"]),
            (200, &theirs),
            "{bad}"
        );
    }
    // A status has no say in who manages the object.
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}});
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    assert_eq!(cluster.post(&format!("{quotas}?fieldManager=me"), &quota).0, 201);
    let forget = json!({"metadata": {"managedFields": [{}]}});
    let (_, kept) = cluster.patch(&format!("{quotas}/q/status"), "merge-patch+json", &forget);
    entry(&kept, "me", "");
}

#[test]
fn status_and_scale_have_managers_of_their_own() {
    let cluster = Cluster::start();
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let path = format!("{DEPLOYMENTS}/web");
    let (code, created) = cluster.post(&format!("{DEPLOYMENTS}?fieldManager=creator"), &web);
    assert_eq!(code, 201, "{created}");
    let spec = |object: &Value, manager, part| entry(object, manager, part)["fieldsV1"]["f:spec"].clone();
    assert!(spec(&created, "creator", "").get("f:replicas").is_some());
    let scale = json!({"spec": {"replicas": 1}});
    let (code, scaled) = cluster.patch(
        &format!("{path}/scale?fieldManager=scaler"),
        "merge-patch+json",
        &scale,
    );
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(1)));
    let (_, now) = cluster.get(&path);
    assert!(spec(&now, "creator", "").get("f:replicas").is_none(), "stolen");
    assert_eq!(spec(&now, "scaler", "scale"), json!({"f:replicas": {}}));
    assert_eq!(entry(&now, "scaler", "scale")["apiVersion"], "apps/v1");
    let config = r#"{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":2}}"#;
    let (code, refused) = apply(&cluster, &format!("{path}/scale"), "fieldManager=me", config);
    assert_eq!(
        (code, &refused["message"]),
        (
            409,
            &json!(
                "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using autoscaling/v1: \
                 .spec.replicas"
            )
        )
    );
    let (code, scaled) = apply(
        &cluster,
        &format!("{path}/scale"),
        "fieldManager=me&force=true",
        config,
    );
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(2)));
    let (_, now) = cluster.get(&path);
    assert_eq!(entry(&now, "me", "scale")["operation"], "Apply");
    assert_eq!(now["spec"]["replicas"], 2);
    // The spec in a status configuration is nobody's.
    let config = "apiVersion: apps/v1\nkind: Deployment\nspec: {paused: true}\nstatus: {collisionCount: 7}\n";
    // (Seen in the answer: the controller writes a status of its own soon.)
    let (code, now) = apply(&cluster, &format!("{path}/status"), "fieldManager=me", config);
    assert_eq!(code, 200, "{now}");
    assert_eq!(
        entry(&now, "me", "status")["fieldsV1"],
        json!({"f:status": {"f:collisionCount": {}}})
    );
    assert_eq!(
        (&now["status"]["collisionCount"], &now["spec"]["paused"]),
        (&json!(7), &Value::Null)
    );
    let absent = format!("{DEPLOYMENTS}/absent/status");
    assert_eq!(apply(&cluster, &absent, "fieldManager=me", config).0, 404);
}

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
fn two_versions_share_their_managers() {
    let cluster = Cluster::start();
    let v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h";
    let v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h";
    let target = "scaleTargetRef: {kind: Deployment, name: d}";
    let config = |version: &str, spec: &str| {
        format!(
            "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: h}}\nspec:\n  {target}\n  maxReplicas: 3\n{spec}"
        )
    };
    let min = "  minReplicas: 2\n";
    let (code, created) = apply(&cluster, v2, "fieldManager=me", &config("v2", min));
    assert_eq!(code, 201, "{created}");
    // The same manager in another version is the same manager; what it no longer names goes (here: to the default).
    let (code, again) = apply(&cluster, v1, "fieldManager=me", &config("v1", ""));
    assert_eq!((code, &again["apiVersion"]), (200, &json!("autoscaling/v1")));
    let mine = entry(&again, "me", "");
    assert_eq!(
        (&mine["apiVersion"], managers(&again)),
        (&json!("autoscaling/v1"), 1)
    );
    assert_eq!(again["spec"]["minReplicas"], 1);
    let conflicting = config("v2", "").replace("maxReplicas: 3", "maxReplicas: 4");
    let (code, refused) = apply(&cluster, v2, "fieldManager=you", &conflicting);
    assert_eq!(code, 409);
    assert_eq!(refused["details"]["causes"][0]["field"], ".spec.maxReplicas");
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

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'busybox:1.36'}]}
";

#[test]
fn kubectl_applies_on_the_server() {
    let cluster = Cluster::start();
    let apply = |more: &[&str], text: &str| {
        let arguments = [&["apply", "--server-side", "-f", "-"], more].concat();
        cluster.kubectl_with(&arguments, text)
    };
    assert_eq!(
        apply(&[], WEB).ok().trim(),
        "deployment.apps/web serverside-applied"
    );
    cluster.kubectl(&["scale", "deployment/web", "--replicas=3"]).ok();
    let refused = apply(&[], WEB).failed();
    assert!(
        refused.contains("with subresource \"scale\" using apps/v1: .spec.replicas"),
        "{refused}"
    );
    apply(&["--force-conflicts"], WEB).ok();
    let other = WEB.replace("1.36", "1.37");
    let refused = apply(&["--field-manager=other"], &other).failed();
    assert!(
        refused.contains("conflict with \"kubectl\": .spec.template.spec.containers[name=\"c\"].image"),
        "{refused}"
    );
    let shown = cluster
        .kubectl(&["get", "deployment", "web", "-o", "yaml", "--show-managed-fields"])
        .ok();
    assert!(
        shown.contains("k:{\"name\":\"c\"}:") && shown.contains("operation: Apply"),
        "{shown}"
    );
    let diff = cluster.kubectl_with(&["diff", "--server-side", "-f", "-"], &other);
    assert_eq!(diff.code, 1, "{}", diff.err);
    assert!(diff.out.contains("+      - image: busybox:1.37"), "{}", diff.out);
}

#[test]
fn kubectls_client_side_applies_migrate() {
    let cluster = Cluster::start();
    cluster.kubectl_with(&["apply", "-f", "-"], WEB).ok();
    let web = format!("{DEPLOYMENTS}/web");
    entry(&cluster.get(&web).1, "kubectl-client-side-apply", "");
    let changed = WEB.replace("replicas: 1", "replicas: 0");
    cluster
        .kubectl_with(&["apply", "--server-side", "-f", "-"], &changed)
        .ok();
    let (_, now) = cluster.get(&web);
    assert_eq!(now["spec"]["replicas"], 0);
    let entries = now["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry["manager"] != "kubectl-client-side-apply"),
        "{now:#}"
    );
    assert!(
        entry(&now, "kubectl", "")["fieldsV1"]["f:spec"]
            .get("f:replicas")
            .is_some()
    );
    // Both applies go on side by side: the server keeps the client's annotation.
    let last = now["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
        .as_str()
        .unwrap();
    assert!(last.contains("\"replicas\":0"), "{last}");
    let out = cluster.kubectl_with(&["apply", "-f", "-"], &changed).ok();
    assert!(out.contains("deployment.apps/web"), "{out}");
}
