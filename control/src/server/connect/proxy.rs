//! `pods/proxy`, `services/proxy` and `nodes/proxy`: any request, passed on.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use keelson_api::status::Status;
use serde_json::Value;

use super::kubelet::locate;
use super::links::Links;
use super::rewrite::rewrite;
use super::target::{self, Reference, Target};
use super::transport::{Trust, forwarded, send, wants_upgrade};
use super::upgraded::{Client, pass};
use crate::object::GroupResource;
use crate::server::body::{Body, full};
use crate::server::call::Call;
use crate::store::{Range, key_of};

/// `host:port` for the Host header.
pub fn authority(target: &Target) -> String {
    if target.host.contains(':') {
        format!("[{}]:{}", target.host, target.port)
    } else {
        format!("{}:{}", target.host, target.port)
    }
}

fn reference(call: &Call) -> Result<Reference<'_>, Status> {
    target::reference(&call.path.name).ok_or_else(|| {
        Status::bad_request(format!(
            "invalid {} request {:?}",
            call.kind().singular,
            call.path.name
        ))
    })
}

/// To a pod's own address.
pub async fn pod(call: &Call, parts: http::request::Parts, body: Body) -> Result<Response<Body>, Status> {
    let reference = reference(call)?;
    let pod = call
        .api
        .store
        .get(call.storage(), &key_of(call.namespace(), reference.name))
        .ok_or_else(|| Status::not_found("", "pods", reference.name))?;
    let target = target::pod(&pod.value(), &reference)?;
    forward(call, &target, Trust::Anybody, parts, body).await
}

/// To one of a service's ready endpoints.
pub async fn service(call: &Call, parts: http::request::Parts, body: Body) -> Result<Response<Body>, Status> {
    let reference = reference(call)?;
    let service = call
        .api
        .store
        .get(call.storage(), &key_of(call.namespace(), reference.name))
        .ok_or_else(|| Status::not_found("", "services", reference.name))?;
    let belongs = |object: &crate::object::Object| {
        object.labels.get("kubernetes.io/service-name") == Some(reference.name)
    };
    let range = Range {
        filter: Some(&belongs),
        ..Range::all(Some(call.namespace()))
    };
    let slices: Vec<Value> = call
        .api
        .store
        .range(&GroupResource::new("discovery.k8s.io", "endpointslices"), &range)
        .map_err(|error| call.store_error(reference.name, &error))?
        .objects
        .iter()
        .map(|slice| slice.value())
        .collect();
    let pick = |count: usize| call.api.random_below(count as u32) as usize;
    let pods = GroupResource::new("", "pods");
    let pod = |name: &str| {
        let pod = call.api.store.get(&pods, &key_of(call.namespace(), name))?;
        Some(pod.value())
    };
    let target = target::service(&service.value(), &slices, &reference, pick, pod)?;
    forward(call, &target, Trust::Anybody, parts, body).await
}

/// To a node's kubelet.
pub async fn node(call: &Call, parts: http::request::Parts, body: Body) -> Result<Response<Body>, Status> {
    let (name, port) = call
        .path
        .name
        .split_once(':')
        .unwrap_or((call.path.name.as_str(), ""));
    let mut target = locate(&call.api, name)?;
    let kubelet_port = target.port;
    if !port.is_empty() {
        target.port = port
            .parse()
            .map_err(|_| Status::bad_request(format!("invalid node request {:?}", call.path.name)))?;
    }
    // Our certificate is for the kubelet only.
    let trust = if target.port == kubelet_port {
        Trust::Cluster
    } else {
        target.tls = false;
        Trust::Anybody
    };
    forward(call, &target, trust, parts, body).await
}

async fn forward(
    call: &Call,
    target: &Target,
    trust: Trust,
    mut parts: http::request::Parts,
    body: Body,
) -> Result<Response<Body>, Status> {
    let upgrade = wants_upgrade(&call.headers);
    // A page below a path without a slash at its end would look for its neighbours beside the proxy.
    if call.path.rest.is_none() && !upgrade && matches!(parts.method, Method::GET | Method::HEAD) {
        return redirect(parts.uri.path(), &call.raw_query);
    }
    let path = call.path.rest.as_deref().unwrap_or("");
    let prefix = parts.uri.path();
    let prefix = prefix.strip_suffix(path).unwrap_or(prefix).trim_end_matches('/');
    let uri = match call.raw_query.as_str() {
        "" => format!("/{path}"),
        query => format!("/{path}?{query}"),
    };
    let uri: Uri = uri
        .parse()
        .map_err(|error: http::uri::InvalidUri| Status::bad_request(error.to_string()))?;
    let links = Links {
        prefix: prefix.to_owned(),
        server: authority(target),
        asked: asked(&call.headers, &parts.uri),
    };
    let mut headers = forwarded(&call.headers, &links.server, upgrade);
    if let Ok(address) = HeaderValue::from_str(&format!("{prefix}/{path}")) {
        headers.insert(HeaderName::from_static("x-forwarded-uri"), address);
    }
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let client = upgrade.then(|| Client::of(&mut parts.extensions)).flatten();
    let response = send(&call.api, target, trust, request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(pass(&call.api, client, response));
    }
    Ok(rewrite(links, pass(&call.api, client, response)))
}

/// Host and port that the client asked, as it wrote them.
fn asked(headers: &HeaderMap, uri: &Uri) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(http::uri::Authority::as_str);
    host.or(authority).unwrap_or_default().to_owned()
}

/// To the same path with a slash at its end.
fn redirect(path: &str, query: &str) -> Result<Response<Body>, Status> {
    let mark = if query.is_empty() { "" } else { "?" };
    Response::builder()
        .status(StatusCode::MOVED_PERMANENTLY)
        .header(LOCATION, format!("{path}/{mark}{query}"))
        .body(full(bytes::Bytes::new()))
        .map_err(|error| Status::bad_request(error.to_string()))
}
