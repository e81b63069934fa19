//! What happens to every request before and after its handler: limits, authentication, impersonation, authorization,
//! accounting, and the end of panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, UPGRADE};
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Body as _;
use keelson_api::status::Status;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::Accept;
use super::apart::{self, Apart, Room};
use super::body::{self, Body};
use super::connections::Place;
use super::metrics::Labels;
use super::outgo::{self, Share};
use super::path::{self, ResourcePath};
use super::query::Query;
use super::refusal::Refusal;
use super::{Api, cut, deadline, dispatch, pretty, verb};
use crate::auth::{self, Attributes, Decision, Presented, UserInfo};

/// By which a request is found again in the logs of whoever has handled it.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// A body takes one more place among the requests in flight for each of these bytes: four of the largest fill them.
const BYTES_OF_A_PLACE: usize = 64 << 10;

/// Where a request came from.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A connection, with the client's verified certificate if it showed one.
    Remote(Option<Arc<Presented>>),
    /// A connection of an authenticating proxy, with its verified certificate.
    Proxy(Arc<Presented>),
    /// This process, as this user.
    Local(UserInfo),
}

/// A request on its way to the handler.
#[derive(Debug)]
pub struct Incoming {
    /// Who asks.
    pub user: UserInfo,
    /// Method, URI, headers, extensions.
    pub parts: http::request::Parts,
    /// The resource that the path names, if any.
    pub path: Option<ResourcePath>,
    /// Query parameters.
    pub query: Query,
    /// The verb, as authorization sees it.
    pub verb: &'static str,
    /// From this process.
    pub local: bool,
}

/// Answers a request. Never fails: every error is an answer.
pub async fn handle(api: Arc<Api>, request: Request<Body>, peer: Peer) -> Response<Body> {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let path = path::parse(parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let verb = verb::of(&parts.method, path.as_ref(), &query);
    let labels = Labels::of(
        &api.registry(),
        (&parts.method, &parts.headers),
        (verb, parts.uri.path()),
        path.as_ref(),
        &query,
    );
    let long = verb::is_long_running(verb, path.as_ref());
    let running = long.then(|| api.metrics.run(&labels));
    if let Some(running) = &running {
        // Of streams that outlive this function because their connection is upgraded.
        parts.extensions.insert(running.clone());
    }
    let audit_id = (!matches!(peer, Peer::Local(_))).then(|| audit_id(&api, &parts.headers));
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let accept: Vec<HeaderValue> = parts.headers.get_all(ACCEPT).iter().cloned().collect();
    let error = |status: &Status| {
        let headers = accept.iter().map(|value| (ACCEPT, value.clone())).collect();
        body::status(Accept::for_errors(&headers), status)
    };
    // Watches are one line for an event, and documents of OpenAPI for programs only.
    let pretty =
        !long && !parts.uri.path().starts_with("/openapi") && pretty::is_wanted(&query, &parts.headers);
    let work = AssertUnwindSafe(admit(&api, parts, path, query, verb, body, peer)).catch_unwind();
    let mut response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => {
            if refusal.in_defence {
                api.metrics.terminate(&labels, refusal.status.code);
            }
            error(&refusal.status)
        }
        Err(_) => {
            tracing::error!(verb, "a handler panicked; the request failed, the server goes on");
            error(&Status::internal("this request caused a panic on the server"))
        }
    };
    if pretty {
        response = pretty::indented(response);
    }
    if let Some(share) = response.extensions_mut().remove::<Arc<Share>>() {
        response = response.map(|body| outgo::counted(body, share));
    }
    if !long {
        response = response.map(cut::watched);
    }
    // What one user may see is for nobody else's cache (`apiserver/pkg/endpoints/filters/cachecontrol.go`).
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    if let Some(audit_id) = audit_id {
        response.headers_mut().insert(AUDIT_ID, audit_id);
    }
    let size = response.body().size_hint().exact();
    if let (Some(running), None) = (running, size) {
        response = response.map(|body| body::holding(body, running));
    }
    let took = began.elapsed();
    let code = response.status().as_u16();
    // Tokens travel in headers, never in addresses, so this line holds no secrets.
    tracing::debug!(target: "request", %method, path = uri.path(), query = uri.query(), verb, code, ?took);
    // Who may nothing does not fill the table.
    let labels = if matches!(code, 401 | 403) {
        labels.without_resource()
    } else {
        labels
    };
    api.metrics.record(labels, code, took, size);
    response
}

/// The one that the request brings, or a new one (`apiserver/pkg/endpoints/filters/audit_init.go`).
fn audit_id(api: &Api, headers: &HeaderMap) -> HeaderValue {
    let brought = headers.get(AUDIT_ID).filter(|id| !id.is_empty());
    brought.cloned().unwrap_or_else(|| {
        // Hexadecimal digits and dashes.
        HeaderValue::from_str(&api.uid()).unwrap_or(HeaderValue::from_static(""))
    })
}

async fn admit(
    api: &Arc<Api>,
    mut parts: http::request::Parts,
    path: Option<ResourcePath>,
    query: Query,
    verb: &'static str,
    body: Body,
    peer: Peer,
) -> Result<Response<Body>, Refusal> {
    let local = matches!(peer, Peer::Local(_));
    let long = verb::is_long_running(verb, path.as_ref());
    let _flying = (!long).then(|| api.metrics.fly(matches!(verb, "get" | "list")));
    // The `timeout` of a proxied request is for whom it goes to.
    let until = deadline::of(if long { "" } else { query.get("timeout") });
    let admitted = until.and_then(|until| {
        let user = identify(api, &mut parts, path.as_ref(), &query, verb, peer)?;
        Ok((user, until))
    });
    let (user, until) = match admitted {
        Ok(admitted) => admitted,
        Err(status) => {
            body::drain(&parts.headers, body).await;
            return Err(status.into());
        }
    };
    let incoming = Incoming {
        user,
        parts,
        path,
        query,
        verb,
        local,
    };
    // Nodes and administrators are not held up by what tenants do (upstream gives them priority levels of their own).
    let exempt = local || incoming.user.is_exempt();
    let vital = local || incoming.user.is_vital();
    // A body is read before a place is taken, so that slow senders hold none; streams read theirs themselves.
    let tenant = incoming.user.tenant();
    let bounded = if exempt { "" } else { tenant.as_str() };
    let (body, size, share) = if long || matches!(verb, "get" | "list") {
        (body, 0, None)
    } else {
        let read = async {
            api.intake.read(bounded, body).await.map_err(|status| Refusal {
                // Too much of others is under way; all else is the request's own fault.
                in_defence: status.code == 429,
                status,
            })
        };
        let (bytes, share) = within(until, read).await?;
        let size = bytes.len();
        (body::full(bytes), size, Some(share))
    };
    let query = incoming.parts.uri.query().map_or(0, str::len);
    let apart = apart::is_large(size, query).then(|| {
        let places = if exempt { &api.apart_exempt } else { &api.apart };
        (
            places,
            tenant.as_str(),
            apart::room(&incoming.parts.headers, size),
        )
    });
    let work = Box::pin(dispatch::dispatch(Arc::clone(api), incoming, body));
    if long {
        return Ok(work.await?);
    }
    let slot = if exempt {
        None
    } else {
        Some(slot(api, verb, size).map_err(Refusal::in_defence)?)
    };
    let work = work_on(work, (share, slot), apart);
    let answer = within(until, async { Ok(work.await?) }).await?;
    if vital {
        return Ok(answer);
    }
    let reads = matches!(verb, "get" | "list" | "head");
    api.outgo.admit(bounded, answer, reads, until).await
}

/// Does the work, in this thread or apart. There it goes on when nobody waits for it any more, and holds what it has
/// `taken` for as long.
async fn work_on(
    work: BoxFuture<'static, Result<Response<Body>, Status>>,
    taken: impl Send + 'static,
    apart: Option<(&Apart, &str, Room)>,
) -> Result<Response<Body>, Status> {
    let work = Box::pin(async move {
        let _taken = taken;
        work.await
    });
    match apart {
        Some((places, user, room)) => places.run(user, work, room).await?,
        None => work.await,
    }
}

/// A place among the requests in flight.
fn slot(api: &Api, verb: &str, size: usize) -> Result<OwnedSemaphorePermit, Status> {
    let slots = if matches!(verb, "get" | "list") {
        &api.reads
    } else {
        &api.writes
    };
    // What is made of a body takes many times its size, so the largest take many places.
    let places = 1 + size / BYTES_OF_A_PLACE;
    Arc::clone(slots)
        .try_acquire_many_owned(places as u32)
        .map_err(|_| Status::too_many_requests("Too many requests, please try again later.", 1))
}

/// Who asks, if they may.
fn identify(
    api: &Api,
    parts: &mut http::request::Parts,
    path: Option<&ResourcePath>,
    query: &Query,
    verb: &'static str,
    peer: Peer,
) -> Result<UserInfo, Status> {
    let user = match peer {
        Peer::Local(user) => user,
        Peer::Remote(certificate) => {
            let user = api
                .authenticator
                .authenticate(certificate.as_deref(), &parts.headers)?;
            keep(parts, &user)?;
            auth::impersonate(&api.authorizer, &user, &parts.headers)?.unwrap_or(user)
        }
        Peer::Proxy(certificate) => {
            let user = api.authenticator.proxied(&certificate, &mut parts.headers)?;
            auth::impersonate(&api.authorizer, &user, &parts.headers)?.unwrap_or(user)
        }
    };
    authorize(api, &user, verb, path, query, parts.uri.path())?;
    Ok(user)
}

/// Lets the connection keep its place, as long as the user has not too many. One that may have to leave it carries no
/// streams: they would hold it when HTTP has ended.
fn keep(parts: &http::request::Parts, user: &UserInfo) -> Result<(), Status> {
    let Some(place) = parts
        .extensions
        .get::<Place>()
        .filter(|_| user.name != auth::ANONYMOUS)
    else {
        return Ok(());
    };
    if !place.claim(user) && parts.headers.contains_key(UPGRADE) {
        return Err(Status::too_many_requests(
            "Too many connections, please try again later.",
            1,
        ));
    }
    Ok(())
}

/// The timer ends requests whose client sends its body too slowly, or whose write the disk does not finish.
async fn within<T>(
    until: tokio::time::Instant,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::time::timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(Refusal::in_defence(deadline::late())))
}

fn authorize(
    api: &Api,
    user: &UserInfo,
    verb: &str,
    path: Option<&ResourcePath>,
    query: &Query,
    raw_path: &str,
) -> Result<(), Status> {
    let none = ResourcePath::default();
    let target = path.unwrap_or(&none);
    let selected = super::select::exact_name(query);
    let collection = matches!(verb, "list" | "watch" | "deletecollection");
    let attributes = Attributes {
        user,
        verb,
        group: &target.group,
        version: &target.version,
        resource: &target.resource,
        subresource: &target.subresource,
        namespace: &target.namespace,
        name: match &selected {
            // A name that is selected is a name to list and watch, not to delete by (`RequestInfoFactory`).
            Some(name) if matches!(verb, "list" | "watch") && target.name.is_empty() => name,
            _ => &target.name,
        },
        field_selector: if collection {
            query.get("fieldSelector")
        } else {
            ""
        },
        path: raw_path,
    };
    match api.authorizer.authorize(&attributes) {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(auth::forbidden(&attributes, &reason)),
    }
}

#[cfg(test)]
mod tests {
    use futures::future::poll_immediate;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_given_back_when_the_work_has_ended() {
        let (finish, finished) = oneshot::channel();
        let (taken, mut given_back) = oneshot::channel::<()>();
        let places = Apart::default();
        let work = async move {
            drop(finished.await);
            Ok(Response::new(body::full("done")))
        };
        let mut waiting = Box::pin(work_on(work.boxed(), taken, Some((&places, "a", Room::Usual))));
        assert!(poll_immediate(&mut waiting).await.is_none());
        // The client has gone away, or the time is over.
        drop(waiting);
        assert_eq!(given_back.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        finish.send(()).unwrap();
        given_back.await.unwrap_err();
    }
}
