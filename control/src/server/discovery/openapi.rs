//! `/openapi/v3`: the index, and one document per group and version. There is no v2, which kubectl needs only where v3
//! is missing.

use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Response, StatusCode};
use keelson_api::openapi::{self, Resource};
use keelson_api::status::Status;

use crate::kinds::openapi::resource;
use crate::server::accept::{Accept, clauses};
use crate::server::body::{self, Body};
use crate::server::version::GIT_VERSION;
use crate::server::{Api, query::Query};

/// Answers below `/openapi`; `segments` are those after it.
pub fn serve(
    api: &Api,
    segments: &[&str],
    query: &Query,
    headers: &HeaderMap,
) -> Result<Option<Response<Body>>, Status> {
    let (group, version) = match segments {
        ["v3"] => return Ok(Some(body::json(StatusCode::OK, openapi::index(&resources(api))))),
        ["v3", "api", version] => ("", *version),
        ["v3", "apis", group, version] => (*group, *version),
        _ => return Err(Status::no_such_resource()),
    };
    let json = clauses(headers)
        .iter()
        .any(|(media, _)| matches!(media.as_str(), "application/json" | "*/*" | "application/*"));
    if !json && !clauses(headers).is_empty() {
        return Err(Status::not_acceptable(&["application/json"]));
    }
    let resources = resources(api);
    let hash = openapi::hash(&resources, group, version);
    let tag = format!("\"{hash}\"");
    let fresh = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if fresh {
        body::with_type(StatusCode::NOT_MODIFIED, "application/json", body::full(""))
    } else {
        let Some(document) = openapi::document(&resources, group, version, GIT_VERSION) else {
            return Err(Status::no_such_resource());
        };
        let size = document.len();
        let gzip = Accept::takes_gzip(headers);
        body::compress(body::json(StatusCode::OK, document), size, gzip)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    // The index names documents by hash, so such an address never changes its content.
    if query.get("hash") == hash {
        let forever = HeaderValue::from_static("public, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    Ok(Some(response))
}

fn resources(api: &Api) -> Vec<Resource> {
    api.registry
        .all()
        .iter()
        .map(|served| resource(served.kind))
        .collect()
}
