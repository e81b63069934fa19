//! Custom resources, by raw requests and by the real kubectl.

mod conformance;
mod kubectl;
mod objects;
mod published;
mod ratcheting;
mod versions;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;

pub const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

/// A definition of widgets with one version of this schema of their spec.
pub fn widgets(spec: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": spec,
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

/// A spec of any fields.
pub fn anything() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

pub fn widget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

/// Looks again until it holds, for at most this long.
pub fn within(longest: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < longest, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn condition(definition: &Value, kind: &str) -> Value {
    let all = definition["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    all.into_iter()
        .find(|one| one["type"] == kind)
        .unwrap_or_default()
}

/// Creates the definition and waits until it is established.
#[track_caller]
pub fn define(cluster: &Cluster, definition: &Value) {
    let (code, made) = cluster.post(DEFINITIONS, definition);
    assert_eq!(code, 201, "{made}");
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    within(Duration::from_secs(5), "established", || {
        let (_, now) = cluster.get(&format!("{DEFINITIONS}/{name}"));
        condition(&now, "Established")["status"] == "True"
    });
    let version = definition["spec"]["versions"][0]["name"].as_str().unwrap();
    let group = definition["spec"]["group"].as_str().unwrap();
    within(Duration::from_secs(1), "served within a second", || {
        cluster.get(&format!("/apis/{group}/{version}")).0 == 200
    });
}
