//! Aggregated discovery: everything in two answers (`apidiscovery.k8s.io`, KEP-3352).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::openapi;
use crate::kinds::Kind;
use crate::server::accept::{Encoding, clauses};
use crate::server::body::{self, Body};
use crate::server::registry::Registry;

/// The aggregated form that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    version: &'static str,
    encoding: Encoding,
}

/// What the client prefers of this form. Plain forms do not count beside it, wherever they stand
/// (`DiscoveryEndpointRestrictions`).
pub fn wanted(headers: &HeaderMap) -> Option<Wanted> {
    for clause in clauses(headers) {
        let Some(encoding) = clause.encoding() else {
            continue;
        };
        let version = match (clause.get("as"), clause.get("g"), clause.get("v")) {
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => "v2",
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => "v2beta1",
            _ => continue,
        };
        return Some(Wanted { version, encoding });
    }
    None
}

/// Answers for `/api` (the core group) or `/apis` (all others); with 304 if the client has it.
pub fn serve(registry: &Registry, core: bool, wanted: Wanted, headers: &HeaderMap) -> Response<Body> {
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
                        .map(|served| &*served.kind)
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
    let Wanted { version, encoding } = wanted;
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    // Maps are in order, so that the same kinds are the same text.
    let digest = Sha256::digest(list.to_string());
    let tag = format!("\"{}\"", BASE64.encode(&digest[..16]));
    let mut response = if openapi::is_known(headers, &tag) {
        let mut response = Response::new(body::full(""));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        body::value(StatusCode::OK, encoding, &list)
    };
    let told = response.headers_mut();
    told.insert(VARY, HeaderValue::from_static("Accept"));
    told.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        told.insert(ETAG, tag);
    }
    if response.status() == StatusCode::NOT_MODIFIED {
        return response;
    }
    let media = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|media| media.to_str().ok());
    let media = format!(
        "{};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList",
        media.unwrap_or_default()
    );
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
