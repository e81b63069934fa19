//! Aggregated discovery: everything in two answers (`apidiscovery.k8s.io`, KEP-3352).

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::server::accept::clauses;
use crate::server::body::{self, Body};
use crate::server::registry::Registry;

/// The version that the client prefers, if it asks for this form before plain JSON: `true` is v2beta1.
pub fn wanted(headers: &HeaderMap) -> Option<bool> {
    for (media, parameters) in clauses(headers) {
        if !matches!(media.as_str(), "application/json" | "*/*") {
            continue;
        }
        let get = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        match (get("as"), get("g"), get("v")) {
            ("", ..) => return None,
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => return Some(false),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => return Some(true),
            _ => {}
        }
    }
    None
}

/// Answers for `/api` (the core group) or `/apis` (all others).
pub fn serve(registry: &Registry, core: bool, beta: bool) -> Response<Body> {
    let items: Vec<Value> = registry
        .groups()
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<_> = versions
                .into_iter()
                .map(|version| {
                    let mut resources: Vec<_> = registry
                        .all()
                        .iter()
                        .map(|served| served.kind)
                        .filter(|kind| kind.group == group && kind.version == version)
                        .map(resource)
                        .collect();
                    resources.sort_by(|one, two| one["resource"].as_str().cmp(&two["resource"].as_str()));
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !group.is_empty() {
                metadata["name"] = group.into();
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let version = if beta { "v2beta1" } else { "v2" };
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let mut response = body::json(StatusCode::OK, serde_json::to_vec(&list).unwrap_or_default());
    let media = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(media) = HeaderValue::from_str(&media) {
        response.headers_mut().insert(CONTENT_TYPE, media);
    }
    response
}

fn resource(kind: &Kind) -> Value {
    let mut value = json!({
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        value["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        value["categories"] = json!(kind.categories);
    }
    if !kind.subresources.is_empty() {
        value["subresources"] = kind
            .subresources
            .iter()
            .map(|subresource| {
                json!({
                    "subresource": subresource.name,
                    "responseKind": {
                        "group": subresource.group, "version": subresource.version, "kind": subresource.kind,
                    },
                    "verbs": subresource.verbs,
                })
            })
            .collect();
    }
    value
}
