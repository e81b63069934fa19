//! What upstream's types cannot tell from nothing is no change, whoever writes it: `paused: false`, `tls: []`.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS};

const APPS: &str = "/apis/apps/v1/namespaces/default";

fn workload() -> Value {
    let container = json!({"name": "c", "image": "i"});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
    // Without pods, so that no controller writes in between.
    json!({"metadata": {"name": "w"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}})
}

#[test]
fn are_no_change() {
    let cluster = Cluster::start();
    // Of ReplicaSets, since a Deployment's generation counts annotations, too, and those its controller writes.
    let all = format!("{APPS}/replicasets");
    let path = format!("{all}/w");
    let mut wordy = workload();
    wordy["spec"]["selector"]["matchExpressions"] = json!([]);
    assert_eq!(cluster.post(&all, &wordy).0, 201);
    for body in [&workload(), &wordy] {
        let (code, answer) = cluster.put(&path, body);
        assert_eq!((code, &answer["metadata"]["generation"]), (200, &json!(1)));
        assert_eq!(answer["spec"]["selector"], workload()["spec"]["selector"]);
    }
    for spec in [
        json!({"minReadySeconds": 0}),
        json!({"template": {"spec": {"hostNetwork": false}}}),
    ] {
        let patch = json!({ "spec": spec });
        let (code, answer) = cluster.patch(&path, "merge-patch+json", &patch);
        assert_eq!(
            (code, &answer["metadata"]["generation"]),
            (200, &json!(1)),
            "{spec}"
        );
    }

    let all = format!("{APPS}/statefulsets");
    let mut plain = workload();
    plain["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "v"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    let mut wordy = plain.clone();
    wordy["spec"]["volumeClaimTemplates"][0]["metadata"] =
        json!({"name": "v", "labels": {}, "annotations": {}});
    assert_eq!(cluster.post(&all, &wordy).0, 201);
    let (code, answer) = cluster.put(&format!("{all}/w"), &plain);
    assert_eq!(code, 200, "{answer}");

    let map = json!({"metadata": {"name": "m"}, "immutable": true, "data": {"k": ""}});
    let mut wordy = map.clone();
    wordy["binaryData"] = json!({});
    assert_eq!(cluster.post(MAPS, &wordy).0, 201);
    let (code, answer) = cluster.put(&format!("{MAPS}/m"), &map);
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["data"], json!({"k": ""}));
}

#[test]
fn that_are_applied_are_owned() {
    let cluster = Cluster::start();
    let apply = |path: &str, manager: &str, body: &Value| {
        let media = [("content-type", "application/apply-patch+yaml")];
        let path = format!("{path}?fieldManager={manager}");
        cluster.request(Method::PATCH, &path, &media, body.to_string().as_bytes())
    };
    let path = format!("{MAPS}/m");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {}});
    let (code, made) = apply(&path, "one", &map);
    assert_eq!((code, made.get("data")), (201, None), "{made}");
    let fields = json!({"f:data": {}});
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], fields);
    let (code, again) = apply(&path, "one", &map);
    assert_eq!((code, again), (200, made));

    // It is not there, and so it is a change, of what somebody has.
    let path = "/apis/scheduling.k8s.io/v1/priorityclasses/p";
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p"}, "value": 1,
        "globalDefault": false});
    assert_eq!(apply(path, "one", &class).0, 201);
    let (code, refusal) = apply(path, "two", &class);
    assert_eq!(code, 409, "{refusal}");
    assert_eq!(refusal["details"]["causes"][0]["field"], ".globalDefault");
}

#[test]
fn generations_of_daemon_templates_are_numbers() {
    const ANNOTATION: &str = "deprecated.daemonset.template.generation";
    const WHY: &str = "strconv.ParseInt: parsing \"x\": invalid syntax";
    let cluster = Cluster::start();
    let all = format!("{APPS}/daemonsets");
    let mut set = workload();
    set["spec"].as_object_mut().unwrap().remove("replicas");
    let (code, made) = cluster.post(&all, &set);
    assert_eq!(
        (code, &made["metadata"]["annotations"]),
        (201, &json!({ANNOTATION: "1"}))
    );
    let fields = &made["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"];
    assert!(
        fields["f:annotations"][format!("f:{ANNOTATION}")].is_object(),
        "{fields}"
    );
    set["apiVersion"] = "apps/v1".into();
    set["kind"] = "DaemonSet".into();
    set["metadata"]["annotations"] = json!({ANNOTATION: "x"});
    let path = format!("{all}/w");
    let (code, answer) = cluster.put(&path, &set);
    let message = format!("DaemonSet in version \"v1\" cannot be handled as a DaemonSet: {WHY}");
    assert_eq!((code, &answer["message"]), (400, &json!(message)));
    let media = [("content-type", "application/apply-patch+yaml")];
    let target = format!("{path}?fieldManager=m&force=true");
    let (code, answer) = cluster.request(Method::PATCH, &target, &media, set.to_string().as_bytes());
    let message = format!("failed to convert to unversioned: {WHY}");
    assert_eq!((code, &answer["message"]), (500, &json!(message)));
}
