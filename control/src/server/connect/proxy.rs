//! `pods/proxy`, `services/proxy` and `nodes/proxy`: any request, passed on.

use http::{Request, Response, Uri};
use hyper::upgrade::OnUpgrade;
use keelson_api::status::Status;
use serde_json::Value;

use super::kubelet::locate;
use super::target::{self, Reference, Target};
use super::transport::{Trust, forwarded, pass, send, wants_upgrade};
use crate::object::GroupResource;
use crate::server::body::Body;
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
    let target = target::service(&service.value(), &slices, &reference, pick)?;
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
    let path = call.path.rest.as_deref().unwrap_or("");
    let uri = match call.raw_query.as_str() {
        "" => format!("/{path}"),
        query => format!("/{path}?{query}"),
    };
    let uri: Uri = uri
        .parse()
        .map_err(|error: http::uri::InvalidUri| Status::bad_request(error.to_string()))?;
    let upgrade = wants_upgrade(&call.headers);
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = forwarded(&call.headers, &authority(target), upgrade);
    let client = upgrade.then(|| parts.extensions.remove::<OnUpgrade>()).flatten();
    let response = send(&call.api, target, trust, request).await?;
    Ok(pass(&call.api, client, response))
}
