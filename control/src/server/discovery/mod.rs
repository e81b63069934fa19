//! Discovery: `/api`, `/apis`, groups, resources, the aggregated form, OpenAPI, and the list of paths.

mod aggregated;
mod groups;
mod openapi;

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use keelson_api::status::Status;
use serde_json::json;

use super::Api;
use super::accept::{Accept, Encoding, Endpoint};
use super::body::{self, Body};
use super::pipeline::Incoming;
use super::registry::{Registry, api_version};

/// Answers a discovery path; `None` for other paths.
pub fn serve(api: &Api, incoming: &Incoming, path: &str) -> Result<Option<Response<Body>>, Status> {
    let headers = &incoming.parts.headers;
    let trimmed = path.trim_end_matches('/');
    let segments: Vec<&str> = trimmed.split('/').skip(1).collect();
    let registry = &*api.registry();
    let value = match segments.as_slice() {
        [] => json!({"paths": paths(api)}),
        [root @ ("api" | "apis")] => {
            if let Some(wanted) = aggregated::wanted(headers) {
                return Ok(Some(aggregated::serve(registry, *root == "api", wanted, headers)));
            }
            if *root == "api" {
                groups::versions(registry, api.advertise)
            } else {
                groups::all(registry)
            }
        }
        ["api", version] => return resources(registry, "", version, headers).map(Some),
        ["apis", group] => match groups::one(registry, group) {
            Some(group) => group,
            None => return Err(Status::no_such_resource()),
        },
        ["apis", group, version] => return resources(registry, group, version, headers).map(Some),
        ["openapi", ..] => return openapi::serve(api, &segments[1..], &incoming.query, headers),
        [".well-known", "openid-configuration"] => {
            let address = format!("https://{}", api.advertise);
            let document = api.authenticator.openid_configuration(&address);
            let response = body::value(StatusCode::OK, Encoding::Json, &document);
            return Ok(Some(for_an_hour(response)));
        }
        ["openid", "v1", "jwks"] => {
            let jwks = serde_json::to_vec(&api.authenticator.jwks()).unwrap_or_default();
            let response = body::with_type(StatusCode::OK, "application/jwk-set+json", body::full(jwks));
            return Ok(Some(for_an_hour(response)));
        }
        _ => return Ok(None),
    };
    // A form other than the aggregated one is not known, and falls through to the next clause.
    let encoding = Accept::negotiate(headers, Endpoint::Plain)?.encoding;
    let mut response = body::value(StatusCode::OK, encoding, &value);
    if matches!(segments.as_slice(), ["api" | "apis"]) {
        // The aggregated form has the same address.
        let accept = HeaderValue::from_static("Accept");
        response.headers_mut().insert(VARY, accept);
    }
    Ok(Some(response))
}

/// Keys of tokens may be kept for an hour (`pkg/serviceaccount/openidmetadata.go`).
fn for_an_hour(mut response: Response<Body>) -> Response<Body> {
    let hour = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, hour);
    response
}

fn resources(
    registry: &Registry,
    group: &str,
    version: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, Status> {
    let list = groups::resources(registry, group, version).ok_or_else(Status::no_such_resource)?;
    let encoding = Accept::negotiate(headers, Endpoint::Plain)?.encoding;
    // Names, texts and lists always serialize.
    Ok(match encoding {
        Encoding::Json => body::json(StatusCode::OK, serde_json::to_vec(&list).unwrap_or_default()),
        _ => body::value(
            StatusCode::OK,
            encoding,
            &serde_json::to_value(&list).unwrap_or_default(),
        ),
    })
}

/// The paths that `/` lists.
fn paths(api: &Api) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .map(str::to_owned)
    .into();
    for (group, versions) in api.registry().groups() {
        if !group.is_empty() {
            paths.push(format!("/apis/{group}"));
        }
        for version in versions {
            let root = if group.is_empty() { "/api" } else { "/apis" };
            paths.push(format!("{root}/{}", api_version(group, version)));
        }
    }
    paths.sort();
    paths
}
