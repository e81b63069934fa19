//! `/openapi/v3`: the index, and one document per group and version; `/openapi/v2`: everything in one, for older clients.

use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderMap, Response, StatusCode};
use keelson_api::openapi::{self, Resource, v2};
use keelson_api::status::Status;

use crate::kinds::openapi::resource;
use crate::server::accept::{Accept, Encoding, clauses};
use crate::server::body::{self, Body};
use crate::server::version::GIT_VERSION;
use crate::server::{Api, query::Query};

/// Gnostic's protobuf, as it is answered.
const GNOSTIC: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As older clients ask for it; the `@` is not allowed in a media type.
const GNOSTIC_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Answers below `/openapi`; `segments` are those after it.
pub fn serve(
    api: &Api,
    segments: &[&str],
    query: &Query,
    headers: &HeaderMap,
) -> Result<Option<Response<Body>>, Status> {
    let version = match segments {
        ["v2"] => return second(api, headers).map(Some),
        ["v3"] => return Ok(Some(body::json(StatusCode::OK, openapi::index(&resources(api))))),
        ["v3", "api", version] => Some(("", *version)),
        ["v3", "apis", group, version] => Some((*group, *version)),
        ["v3", ..] => None,
        _ => return Err(Status::no_such_resource()),
    };
    let clauses = clauses(headers);
    let json = clauses
        .iter()
        .any(|clause| clause.encoding() == Some(Encoding::Json));
    if !json && !clauses.is_empty() {
        return Err(Status::not_acceptable(&["application/json"]));
    }
    let resources = resources(api);
    let path = segments[1..].join("/");
    let (known, hash) = match version {
        Some((group, version)) => (
            resources
                .iter()
                .any(|one| one.group == group && one.version == version),
            openapi::hash(&resources, group, version),
        ),
        None => (openapi::has_other(&resources, &path), openapi::other_hash(&path)),
    };
    if !known {
        return Err(Status::no_such_resource());
    }
    let asked = query.get("hash");
    if !asked.is_empty() && asked != hash {
        return Ok(Some(moved(&path, &hash)));
    }
    let mut response = tagged(headers, &hash, "application/json", || {
        let document = match version {
            Some((group, version)) => openapi::document(&resources, group, version, GIT_VERSION),
            None => openapi::other_document(&resources, &path, GIT_VERSION),
        };
        document.ok_or_else(Status::no_such_resource)
    })?;
    // The index names documents by hash, so such an address never changes its content.
    if asked == hash {
        let forever = HeaderValue::from_static("public, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    Ok(Some(response))
}

/// Where the document is now, for who has an older index.
fn moved(path: &str, hash: &str) -> Response<Body> {
    let mut response = body::text(StatusCode::MOVED_PERMANENTLY, "");
    if let Ok(place) = HeaderValue::from_str(&format!("/openapi/v3/{path}?hash={hash}")) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// `/openapi/v2` (`kube-openapi/pkg/handler`).
fn second(api: &Api, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let clauses = clauses(headers);
    let protobuf = clauses.iter().find_map(|clause| match clause.media.as_str() {
        GNOSTIC | GNOSTIC_OLD => Some(true),
        _ => (clause.encoding() == Some(Encoding::Json)).then_some(false),
    });
    let protobuf = match protobuf {
        Some(protobuf) => protobuf,
        None if clauses.is_empty() => false,
        None => return Err(Status::not_acceptable(&["application/json", GNOSTIC])),
    };
    let resources = resources(api);
    let hash = v2::hash(&resources, protobuf);
    let mut response = if protobuf {
        tagged(headers, &hash, GNOSTIC, || {
            Ok(v2::protobuf(&resources, GIT_VERSION))
        })?
    } else {
        tagged(headers, &hash, "application/json", || {
            Ok(v2::json(&resources, GIT_VERSION))
        })?
    };
    // Both forms have one address.
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// A document with its tag, or 304 for a client that has it.
fn tagged(
    headers: &HeaderMap,
    hash: &str,
    media: &'static str,
    document: impl FnOnce() -> Result<Vec<u8>, Status>,
) -> Result<Response<Body>, Status> {
    let tag = format!("\"{hash}\"");
    let mut response = if is_known(headers, &tag) {
        body::with_type(StatusCode::NOT_MODIFIED, media, body::full(""))
    } else {
        let document = document()?;
        let size = document.len();
        let response = body::made(body::with_type(StatusCode::OK, media, body::full(document)));
        body::compress(response, size, Accept::takes_gzip(headers))
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Whether the client has what this tag names (RFC 9110, section 13.1.2).
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn resources(api: &Api) -> Vec<Resource> {
    api.registry()
        .all()
        .iter()
        .map(|served| resource(&served.kind))
        .collect()
}
