//! Streams: log, exec, attach, port-forward and the proxies, passed on to kubelets, pods and services.
//!
//! [`container`] and [`target`] decide where a request goes, as data; [`transport`] connects, and [`upgraded`] passes
//! bytes through, both ways, without looking at them, but for where WebSocket messages end ([`frames`]). Where a proxied
//! server's links lead is rewritten ([`rewrite`], with [`links`] and [`pages`]). What kubelets do not speak is translated ([`translate`],
//! [`tunnel`]).

mod container;
mod frames;
mod kubelet;
mod links;
mod log;
mod pages;
mod proxy;
mod rewrite;
mod stream;
mod target;
mod translate;
mod transport;
mod tunnel;
mod upgraded;

use http::{Method, Response};
use keelson_api::status::Status;

pub use transport::{Kubelets, wants_upgrade};

use super::body::Body;
use super::call::Call;
use super::path::ResourcePath;
use super::socket::{self, Messages};
use crate::admission::{Operation, Request};

/// Whether a path names a stream.
pub fn is_stream(path: &ResourcePath) -> bool {
    let (resource, subresource) = (path.resource.as_str(), path.subresource.as_str());
    path.group.is_empty()
        && match resource {
            "pods" => matches!(subresource, "log" | "exec" | "attach" | "portforward" | "proxy"),
            "services" | "nodes" => subresource == "proxy",
            _ => false,
        }
}

/// Serves a stream.
pub async fn serve(
    call: Call,
    mut parts: http::request::Parts,
    body: Body,
) -> Result<Response<Body>, Status> {
    let subresource = call.path.subresource.as_str();
    // What runs in a container cannot be tried first.
    if subresource != "log" && call.query.has("dryRun") {
        return Err(Status::bad_request("dryRun is not supported"));
    }
    let allowed = match subresource {
        "log" => matches!(parts.method, Method::GET | Method::HEAD),
        "proxy" => true,
        _ => matches!(parts.method, Method::GET | Method::POST),
    };
    if !allowed {
        return Err(Status::method_not_allowed());
    }
    if subresource != "log" {
        admit(&call).await?;
    }
    match (call.path.resource.as_str(), subresource) {
        ("pods", "log") => {
            let log = log::serve(&call).await?;
            socket::answer(
                &call.api,
                &call.headers,
                &mut parts.extensions,
                Messages::Log,
                log,
            )
        }
        ("pods", "proxy") => proxy::pod(&call, parts, body).await,
        ("services", _) => proxy::service(&call, parts, body).await,
        ("nodes", _) => proxy::node(&call, parts, body).await,
        _ => stream::serve(&call, parts).await,
    }
}

/// Runs the admission chain for a connection.
async fn admit(call: &Call) -> Result<(), Status> {
    let mut request = Request {
        user: &call.user,
        operation: Operation::Connect,
        kind: call.kind(),
        subresource: &call.path.subresource,
        namespace: call.namespace(),
        name: &call.path.name,
        old: None,
        object: None,
        dry_run: false,
    };
    call.api.chain.mutate(&mut request).await?;
    call.api.chain.validate(&request).await?;
    Ok(())
}
