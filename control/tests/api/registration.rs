//! APIServices: made for built-in groups at the start, for definitions at any time.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::custom::{DEFINITIONS, anything, define, widgets};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";

fn names(cluster: &Cluster) -> Vec<String> {
    let (_, list) = cluster.get(SERVICES);
    let names = list["items"].as_array().unwrap().iter();
    names
        .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn built_in_groups_have_apiservices() {
    let mut cluster = Cluster::start();
    // As `kubectl get apiservices` of upstream's 1.33 has them.
    let table = cluster.kubectl(&["get", "apiservices"]).ok();
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["NAME", "SERVICE", "AVAILABLE", "AGE"]);
    let rows: BTreeMap<&str, Vec<&str>> = lines.map(|line| (line[0], line[1..3].to_vec())).collect();
    assert_eq!(rows.len(), 20, "{table}");
    for name in [
        "v1.",
        "v1.apps",
        "v2.autoscaling",
        "v1.flowcontrol.apiserver.k8s.io",
    ] {
        assert_eq!(rows[name], ["Local", "True"], "{table}");
    }
    let (_, core) = cluster.get(&format!("{SERVICES}/v1."));
    assert_eq!(core["metadata"]["labels"], json!({LABEL: "onstart"}));
    assert_eq!(
        core["spec"],
        json!({"version": "v1", "groupPriorityMinimum": 18_000, "versionPriority": 1})
    );
    let mut available = core["status"]["conditions"][0].clone();
    assert!(
        available
            .as_object_mut()
            .unwrap()
            .remove("lastTransitionTime")
            .is_some()
    );
    let message = "Local APIServices are always available";
    assert_eq!(
        available,
        json!({"type": "Available", "status": "True", "reason": "Local", "message": message})
    );
    // The group is listed once, and before those that come after it.
    let groups = |cluster: &Cluster| -> Vec<String> {
        let (_, list) = cluster.get("/apis");
        let groups = list["groups"].as_array().unwrap().iter();
        groups
            .map(|group| group["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = groups(&cluster);
    assert_eq!(before.iter().filter(|name| *name == "apps").count(), 1);

    // Whoever takes one away, changes one or has one of his own has his way until the next start.
    assert_eq!(cluster.delete(&format!("{SERVICES}/v1.apps"), &json!({})).0, 200);
    let patch = json!({"spec": {"versionPriority": 7}}).to_string();
    let merge = [("content-type", "application/merge-patch+json")];
    let batch = format!("{SERVICES}/v1.batch");
    assert_eq!(
        cluster.request(Method::PATCH, &batch, &merge, patch.as_bytes()).0,
        200
    );
    let own = |group: &str, label: Option<&str>| {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("v1.{group}"), "labels": label.map(|label| json!({LABEL: label}))},
            "spec": {"group": group, "version": "v1", "groupPriorityMinimum": 9, "versionPriority": 9},
        })
    };
    assert_eq!(cluster.post(SERVICES, &own("own.example.com", None)).0, 201);
    assert_eq!(
        cluster.post(SERVICES, &own("old.example.com", Some("onstart"))).0,
        201
    );
    // One that says that it is looked after goes, and with that the others have been looked at.
    assert_eq!(
        cluster.post(SERVICES, &own("none.example.com", Some("true"))).0,
        201
    );
    cluster.eventually("it goes", |cluster| {
        !names(cluster).contains(&"v1.none.example.com".to_owned())
    });
    let now = names(&cluster);
    assert!(!now.contains(&"v1.apps".to_owned()), "{now:?}");
    assert!(now.contains(&"v1.old.example.com".to_owned()), "{now:?}");
    assert_eq!(cluster.get(&batch).1["spec"]["versionPriority"], 7);
    // What is served does not depend on it.
    assert_eq!(groups(&cluster), before);
    assert_eq!(cluster.get("/apis/apps/v1").0, 200);

    cluster.stop();
    cluster.resume();
    let now = names(&cluster);
    assert!(now.contains(&"v1.apps".to_owned()), "{now:?}");
    assert!(now.contains(&"v1.own.example.com".to_owned()), "{now:?}");
    assert!(!now.contains(&"v1.old.example.com".to_owned()), "{now:?}");
    assert_eq!(cluster.get(&batch).1["spec"]["versionPriority"], 15);
}

#[test]
fn definitions_have_apiservices_for_what_they_serve() {
    let cluster = Cluster::start();
    let mut definition = widgets(&anything());
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    definition["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .push(second);
    define(&cluster, &definition);
    let one = |version: &str| format!("{SERVICES}/{version}.example.com");
    for version in ["v1", "v2"] {
        cluster.eventually(version, |cluster| cluster.get(&one(version)).0 == 200);
    }
    let (_, first) = cluster.get(&one("v1"));
    assert_eq!(first["metadata"]["labels"], json!({LABEL: "true"}));
    let spec = json!({
        "group": "example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100,
    });
    assert_eq!(first["spec"], spec);
    assert_eq!(first["status"]["conditions"][0]["reason"], "Local");
    // It comes back when it is taken away, and is put right when it is changed.
    assert_eq!(cluster.delete(&one("v1"), &json!({})).0, 200);
    cluster.eventually("another one", |cluster| {
        let (code, now) = cluster.get(&one("v1"));
        code == 200 && now["metadata"]["uid"] != first["metadata"]["uid"]
    });
    let merge = [("content-type", "application/merge-patch+json")];
    let patch = json!({"spec": {"groupPriorityMinimum": 7}}).to_string();
    assert_eq!(
        cluster
            .request(Method::PATCH, &one("v1"), &merge, patch.as_bytes())
            .0,
        200
    );
    cluster.eventually("as it was", |cluster| cluster.get(&one("v1")).1["spec"] == spec);
    // It goes with its version, and with its definition.
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let patch: Value = json!([{"op": "replace", "path": "/spec/versions/1/served", "value": false}]);
    let json_patch = [("content-type", "application/json-patch+json")];
    let (code, patched) = cluster.request(Method::PATCH, &path, &json_patch, patch.to_string().as_bytes());
    assert_eq!(code, 200, "{patched}");
    cluster.eventually("one version", |cluster| cluster.get(&one("v2")).0 == 404);
    assert_eq!(cluster.get(&one("v1")).0, 200);
    assert_eq!(cluster.delete(&path, &json!({})).0, 200);
    cluster.eventually("none", |cluster| cluster.get(&one("v1")).0 == 404);
}
