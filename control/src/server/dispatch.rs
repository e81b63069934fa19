//! From an authorized request to its handler.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use keelson_api::status::Status;

use super::accept::{Accept, Encoding, Endpoint, Form};
use super::body::{self, Body};
use super::call::Call;
use super::pipeline::Incoming;
use super::registry::api_version;
use super::socket::{self, Messages};
use super::{
    Api, components, connect, discovery, health, metrics, read, respond, snapshot, subresource, table,
    version, write,
};
use crate::kinds::Kind;

/// Answers the request.
pub async fn dispatch(api: Arc<Api>, incoming: Incoming, body: Body) -> Result<Response<Body>, Status> {
    let head = incoming.parts.method == Method::HEAD;
    let response = match incoming.path {
        Some(_) => resource(api, incoming, body).await?,
        None if is_snapshot(&incoming) => snapshot::serve(&api, &incoming).await?,
        None => path(&api, &incoming)?,
    };
    if !head {
        return Ok(response);
    }
    Ok(response.map(|_| body::full(Bytes::new())))
}

/// What is told with every answer about a kind that is deprecated, errors too.
pub fn deprecation(kind: &Kind) -> Option<&str> {
    match (&*kind.group, &*kind.plural) {
        ("", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        ("", "endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        _ => kind.custom.as_ref()?.deprecation(),
    }
}

fn is_snapshot(incoming: &Incoming) -> bool {
    incoming.parts.method == Method::GET && incoming.parts.uri.path() == snapshot::PATH
}

/// Paths that are not resources.
fn path(api: &Api, incoming: &Incoming) -> Result<Response<Body>, Status> {
    let method = &incoming.parts.method;
    let path = incoming.parts.uri.path();
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Status::no_such_resource());
    }
    if let Some(response) = discovery::serve(api, incoming, path)? {
        return Ok(response);
    }
    if let Some(response) = health::serve(api, path, &incoming.query) {
        return Ok(response);
    }
    match path {
        "/version" | "/version/" => Ok(version::serve()),
        "/metrics" => Ok(metrics::serve(api, &incoming.parts.headers)),
        "/metrics/slis" => Ok(metrics::slis(api, &incoming.parts.headers)),
        _ => Err(Status::no_such_resource()),
    }
}

/// Paths below `/api/v1` and `/apis/G/V`.
async fn resource(api: Arc<Api>, incoming: Incoming, body: Body) -> Result<Response<Body>, Status> {
    let Incoming {
        user,
        mut parts,
        path,
        query,
        verb,
        local,
    } = incoming;
    let Some(path) = path else {
        return Err(Status::no_such_resource());
    };
    let Some(served) = api
        .registry()
        .find(&path.group, &path.version, &path.resource)
        .cloned()
    else {
        return Err(Status::no_such_resource());
    };
    let kind = served.kind.clone();
    if kind.namespaced && path.namespace.is_empty() && !path.name.is_empty() && path.subresource.is_empty() {
        return Err(Status::no_such_resource());
    }
    // A namespace is authorized inside itself: its path has it twice, or `a` would speak for `b`.
    let of_itself = kind.plural == "namespaces" && path.namespace == path.name;
    if !kind.namespaced && !path.namespace.is_empty() && !of_itself {
        return Err(Status::no_such_resource());
    }
    // The old `watch` paths are for reading: a stream behind one would be authorized as a watch.
    if path.watch && (!path.subresource.is_empty() || verb != "watch") {
        return Err(Status::no_such_resource());
    }
    if !path.subresource.is_empty()
        && !kind
            .subresources
            .iter()
            .any(|subresource| subresource.name == path.subresource)
    {
        return Err(Status::no_such_resource());
    }
    // Only what is proxied has a path behind it.
    if path.subresource != "proxy" && path.rest.as_deref().is_some_and(|rest| !rest.is_empty()) {
        return Err(Status::no_such_resource());
    }
    let streams = connect::is_stream(&path);
    let version = api_version(&kind.group, &kind.version);
    let endpoint = if verb == "watch" {
        Endpoint::Watch(&version, &kind.kind)
    } else if subresource::is_virtual(&kind) {
        // Reviews are no rows of anything.
        Endpoint::Plain
    } else {
        Endpoint::Objects(&version, &kind.kind)
    };
    let call = Call {
        accept: if streams {
            Accept::any()
        } else {
            Accept::negotiate(&parts.headers, endpoint)?
        },
        api,
        user,
        served,
        raw_query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: std::mem::take(&mut parts.headers),
        path,
        query,
        local,
    };
    if matches!(call.accept.form, Form::Table { .. }) {
        table::check(&call.query)?;
    }
    let mut told: Vec<String> = Vec::new();
    if !local {
        let token = call.api.authenticator.token_warning(&call.user, &call.headers);
        told.extend(token.into_iter().chain(deprecation(&kind)).map(str::to_owned));
    }
    let encoding = call.accept.encoding;
    let answer = answer(call, verb, parts, body).await;
    if told.is_empty() {
        return answer;
    }
    let mut response = answer.unwrap_or_else(|status| body::status(encoding, &status));
    respond::warn(&mut response, &told);
    Ok(response)
}

/// The answer of a resource that is there.
async fn answer(
    call: Call,
    verb: &'static str,
    mut parts: Parts,
    body: Body,
) -> Result<Response<Body>, Status> {
    read::fresh::wait(&call, verb).await?;
    if connect::is_stream(&call.path) {
        return connect::serve(call, parts, body).await;
    }
    let kind = call.served.kind.clone();
    if !call.path.subresource.is_empty() {
        // A body that nothing needs is not waited for.
        let bytes = if verb == "get" {
            Bytes::new()
        } else {
            body::read(body).await?
        };
        return subresource::serve(&call, verb, &bytes).await;
    }
    // Over all namespaces, objects are only read: nobody empties a cluster with one request.
    let everywhere = kind.namespaced && call.path.namespace.is_empty();
    if components::is(&kind) && (kind.verbs.contains(&verb) || verb == "watch" && !call.path.watch) {
        return components::serve(&call, verb);
    }
    if kind.custom.is_some() && verb == "create" && !kind.verbs.contains(&verb) {
        let mut status = Status::method_not_allowed();
        "create not allowed while custom resource definition is terminating".clone_into(&mut status.message);
        return Err(status);
    }
    if !kind.verbs.contains(&verb) || everywhere && matches!(verb, "create" | "deletecollection") {
        return Err(Status::method_not_allowed());
    }
    match verb {
        "get" => read::get(&call),
        "list" => read::list::list(&call),
        "watch" => {
            let messages = match call.accept.encoding {
                Encoding::Protobuf => Messages::Frames,
                _ => Messages::Events,
            };
            let events = read::watch::watch(&call)?;
            socket::answer(&call.api, &call.headers, &mut parts.extensions, messages, events)
        }
        _ => {
            let bytes = body::read(body).await?;
            match verb {
                "create" if subresource::is_virtual(&kind) => {
                    subresource::create_virtual(&call, &bytes).await
                }
                "create" if call.path.name.is_empty() => write::create::create(&call, &bytes).await,
                "update" if !call.path.name.is_empty() => write::update::update(&call, None, &bytes).await,
                "patch" if !call.path.name.is_empty() => write::patch::patch(&call, None, &bytes).await,
                "delete" => write::delete::delete(&call, &bytes).await,
                "deletecollection" => write::delete::collection(&call, &bytes).await,
                _ => Err(Status::method_not_allowed()),
            }
        }
    }
}
