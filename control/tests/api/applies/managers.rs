//! managedFields of every kind of write.

use http::Method;
use serde_json::{Value, json};

use super::{DEPLOYMENTS, apply, entry, managers};
use crate::cluster::{Cluster, MAPS, config_map};

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
