//! What the server says of itself: resources, their document, its components.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;

#[test]
fn components_and_what_is_deprecated() {
    let cluster = Cluster::start();
    let shown = cluster.kubectl(&["get", "cs"]);
    assert!(
        shown
            .err
            .contains("Warning: v1 ComponentStatus is deprecated in v1.19+"),
        "{shown:?}"
    );
    let rows: Vec<Vec<&str>> = shown
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "STATUS", "MESSAGE", "ERROR"]);
    for name in ["controller-manager", "scheduler", "etcd-0"] {
        assert!(
            rows.iter().any(|row| row[..] == [name, "Healthy", "ok"]),
            "{name}: {shown:?}"
        );
    }
    let (code, one) = cluster.get("/api/v1/componentstatuses/scheduler");
    assert_eq!((code, one["kind"].as_str()), (200, Some("ComponentStatus")));
    assert_eq!(one["conditions"][0]["type"], "Healthy");
    assert_eq!(cluster.get("/api/v1/componentstatuses/x").0, 404);
    assert_eq!(cluster.post("/api/v1/componentstatuses", &json!({})).0, 405);
    let (code, status) = cluster.get("/api/v1/componentstatuses?watch=1&timeoutSeconds=1");
    let why = "watch is not supported on resources of kind \"componentstatuses\"";
    assert_eq!((code, status["message"].as_str()), (405, Some(why)));
    assert_eq!(status["details"], json!({"kind": "componentstatuses"}));
    let endpoints = cluster.kubectl(&["get", "endpoints"]);
    let warning = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    assert!(endpoints.err.contains(warning), "{endpoints:?}");
}

#[test]
fn lists_of_resources_are_in_upstreams_order() {
    let cluster = Cluster::start();
    let (_, list) = cluster.raw(Method::GET, "/api/v1", &[], b"");
    let list = String::from_utf8(list).unwrap();
    let maps = "{\"name\":\"configmaps\",\"singularName\":\"configmap\",\"namespaced\":true,\"kind\":\"ConfigMap\",\
                \"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\",\"watch\"],\
                \"shortNames\":[\"cm\"],\"storageVersionHash\":\"";
    assert!(list.contains(maps), "{list}");
    let scale = "{\"name\":\"replicationcontrollers/scale\",\"singularName\":\"\",\"namespaced\":true,\
                 \"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":";
    assert!(list.contains(scale), "{list}");
    let yaml = [("accept", "application/yaml")];
    let (_, list) = cluster.raw(Method::GET, "/apis/apps/v1", &yaml, b"");
    assert!(String::from_utf8(list).unwrap().contains("groupVersion: apps/v1"));
}

#[test]
fn the_document_describes_what_scripts_look_for() {
    let cluster = Cluster::start();
    let (_, document) = cluster.raw(Method::GET, "/openapi/v2", &[], b"");
    let document: Value = serde_json::from_slice(&document).unwrap();
    // What upstream's own script of kubectl's tests looks for (`test/cmd/discovery.sh`), where upstream says it.
    let path = &document["paths"]["/api/v1/namespaces/{namespace}/services"];
    let parameter = |name: &str| {
        let all = [path, &path["get"]].map(|place| place["parameters"].as_array());
        let mut all = all.into_iter().flatten().flatten();
        let found = all.find(|parameter| parameter["name"] == name).unwrap();
        found["description"].as_str().unwrap().to_owned()
    };
    for selector in ["fieldSelector", "labelSelector"] {
        let text = parameter(selector);
        assert!(text.contains("list of returned objects"), "{selector}: {text}");
    }
    let text = parameter("watch");
    assert!(
        text.starts_with("Watch for changes to the described resources"),
        "{text}"
    );
    let items = &document["definitions"]["io.k8s.api.core.v1.ServiceList"]["properties"]["items"];
    assert_eq!(items["description"], "List of services");
}

fn items<'a>(list: &'a Value, field: &str) -> &'a [Value] {
    let items = list[field]
        .as_array()
        .unwrap_or_else(|| panic!("{field}: {list}"));
    assert!(!items.is_empty(), "{field}: {list}");
    items
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Should validate PreferredVersion for each APIGroup; and: should locate the groupVersion and a resource within each APIGroup.
#[test]
fn every_group_prefers_one_of_its_versions_and_each_has_resources() {
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    let groups = items(&groups, "groups");
    assert!(groups.len() > 15, "{groups:?}");
    for group in groups {
        let name = group["name"].as_str().unwrap();
        let (code, own) = cluster.get(&format!("/apis/{name}"));
        assert_eq!((code, &own["name"]), (200, &group["name"]), "{own}");
        let preferred = &own["preferredVersion"];
        assert_eq!(preferred, &group["preferredVersion"], "{name}");
        let versions = items(&own, "versions");
        assert_eq!(versions, items(group, "versions"), "{name}");
        assert!(
            versions.contains(preferred),
            "{name}: {preferred} of {versions:?}"
        );
        for version in versions {
            let path = format!("{name}/{}", version["version"].as_str().unwrap());
            assert_eq!(version["groupVersion"], path);
            let (code, list) = cluster.get(&format!("/apis/{path}"));
            assert_eq!((code, &list["groupVersion"]), (200, &version["groupVersion"]));
            for resource in items(&list, "resources") {
                assert!(
                    is_text(&resource["name"]) && is_text(&resource["kind"]),
                    "{path}: {resource}"
                );
                assert!(items(resource, "verbs").iter().all(is_text), "{path}: {resource}");
            }
        }
    }
}

/// AdmissionWebhook should include webhook resources in discovery documents.
#[test]
fn webhook_configurations_are_found_in_discovery() {
    const GROUP: &str = "admissionregistration.k8s.io";
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    let listed = items(&groups, "groups")
        .iter()
        .find(|group| group["name"] == GROUP);
    let (_, own) = cluster.get(&format!("/apis/{GROUP}"));
    for group in [listed.expect("the group is listed"), &own] {
        let found = items(group, "versions")
            .iter()
            .find(|version| version["version"] == "v1");
        let found = found.unwrap_or_else(|| panic!("no v1: {group}"));
        assert_eq!(found["groupVersion"], format!("{GROUP}/v1"));
    }
    let (_, list) = cluster.get(&format!("/apis/{GROUP}/v1"));
    for (name, kind) in [
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
        (
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
        ),
    ] {
        let found = items(&list, "resources").iter().find(|one| one["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}: {list}"));
        assert_eq!(
            (&found["kind"], &found["namespaced"]),
            (&kind.into(), &false.into())
        );
    }
}
