//! What happens to every request before and after its handler: limits, authentication, impersonation, authorization,
//! accounting, and the end of panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use http::{HeaderMap, Method, Request, Response};
use keelson_api::status::Status;
use rustls_pki_types::CertificateDer;

use super::body::{self, Body};
use super::path::{self, ResourcePath};
use super::query::Query;
use super::{Api, dispatch};
use crate::auth::{Attributes, Decision, UserInfo};

/// Longest time for a request that is not a watch or stream (upstream: 60 s).
const LONGEST: Duration = Duration::from_secs(60);

/// Where a request came from.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A connection, with the client's verified certificate if it showed one.
    Remote(Option<CertificateDer<'static>>),
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
    let (parts, body) = request.into_parts();
    let path = path::parse(parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let verb = verb(&parts.method, path.as_ref(), &query);
    let label = metrics_label(&api, verb, path.as_ref());
    let work = AssertUnwindSafe(admit(&api, parts, path, query, verb, body, peer)).catch_unwind();
    let response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(status)) => body::status(&status),
        Err(_) => {
            tracing::error!(verb, "a handler panicked; the request failed, the server goes on");
            body::status(&Status::internal("this request caused a panic on the server"))
        }
    };
    api.metrics
        .record(label, response.status().as_u16(), began.elapsed());
    response
}

async fn admit(
    api: &Arc<Api>,
    parts: http::request::Parts,
    path: Option<ResourcePath>,
    query: Query,
    verb: &'static str,
    body: Body,
    peer: Peer,
) -> Result<Response<Body>, Status> {
    let local = matches!(peer, Peer::Local(_));
    let user = match peer {
        Peer::Local(user) => user,
        Peer::Remote(certificate) => {
            let user = api
                .authenticator
                .authenticate(certificate.as_ref(), &parts.headers)?;
            impersonate(api, user, &parts.headers)?
        }
    };
    authorize(api, &user, verb, path.as_ref(), &query, parts.uri.path())?;
    let long = is_long_running(verb, path.as_ref(), &query);
    let incoming = Incoming {
        user,
        parts,
        path,
        query,
        verb,
        local,
    };
    let work = dispatch::dispatch(Arc::clone(api), incoming, body);
    if long || local {
        return work.await;
    }
    let slots = if matches!(verb, "get" | "list") { &api.reads } else { &api.writes };
    let Ok(_slot) = slots.try_acquire() else {
        return Err(Status::too_many_requests(
            "Too many requests, please try again later.",
            1,
        ));
    };
    // The timer ends requests whose client sends its body too slowly, or whose write the disk does not finish.
    tokio::time::timeout(LONGEST, work)
        .await
        .unwrap_or_else(|_| Err(Status::timeout("request did not complete within the allotted timeout", 0)))
}

/// The verb (`RequestInfoFactory`).
fn verb(method: &Method, path: Option<&ResourcePath>, query: &Query) -> &'static str {
    let Some(path) = path else {
        return match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "POST" => "post",
            "PUT" => "put",
            "PATCH" => "patch",
            "DELETE" => "delete",
            "OPTIONS" => "options",
            _ => "",
        };
    };
    let collection = path.name.is_empty();
    match method.as_str() {
        "GET" | "HEAD" if path.watch => "watch",
        "GET" | "HEAD" if collection && query.flag("watch") => "watch",
        "GET" | "HEAD" if collection => "list",
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if collection => "deletecollection",
        "DELETE" => "delete",
        _ => "",
    }
}

fn is_long_running(verb: &str, path: Option<&ResourcePath>, query: &Query) -> bool {
    let Some(path) = path else { return false };
    verb == "watch"
        || matches!(
            path.subresource.as_str(),
            "exec" | "attach" | "portforward" | "proxy"
        )
        || path.subresource == "log" && query.flag("follow")
        || path.subresource == "log"
}

/// A label for the counters; paths that nobody serves share one, so that clients cannot grow the table.
fn metrics_label(api: &Api, verb: &'static str, path: Option<&ResourcePath>) -> (&'static str, String) {
    let resource = path.and_then(|path| {
        let served = api.registry.find(&path.group, &path.version, &path.resource)?;
        let known = served
            .kind
            .subresources
            .iter()
            .any(|subresource| subresource.name == path.subresource);
        let subresource = if known { path.subresource.as_str() } else { "" };
        Some(format!(
            "group=\"{}\",version=\"{}\",resource=\"{}\",subresource=\"{subresource}\"",
            served.kind.group, served.kind.version, served.kind.plural
        ))
    });
    (
        verb,
        resource.unwrap_or_else(|| "group=\"\",version=\"\",resource=\"\",subresource=\"\"".to_owned()),
    )
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
            Some(name) if collection && target.name.is_empty() => name,
            _ => &target.name,
        },
        field_selector: if collection { query.get("fieldSelector") } else { "" },
        path: raw_path,
    };
    let reason = match api.authorizer.authorize(&attributes) {
        Decision::Allow(_) => return Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => reason,
    };
    Err(forbidden(&attributes, &reason))
}

/// 403 in upstream's words (`responsewriters.Forbidden`).
pub fn forbidden(attributes: &Attributes<'_>, reason: &str) -> Status {
    let user = keelson_api::status::go_quote(&attributes.user.name);
    let mut why = if attributes.resource.is_empty() {
        format!("User {user} cannot {} path {:?}", attributes.verb, attributes.path)
    } else {
        let resource = match attributes.subresource {
            "" => attributes.resource.to_owned(),
            subresource => format!("{}/{subresource}", attributes.resource),
        };
        let place = match attributes.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!(
            "User {user} cannot {} resource {resource:?} in API group {:?} {place}",
            attributes.verb, attributes.group
        )
    };
    if !reason.is_empty() {
        why.push_str(": ");
        why.push_str(reason);
    }
    Status::forbidden(attributes.group, attributes.resource, attributes.name, &why)
}

/// Resolves `Impersonate-*` headers: each name that is taken on must be allowed by itself.
fn impersonate(api: &Api, user: UserInfo, headers: &HeaderMap) -> Result<UserInfo, Status> {
    const EXTRA: &str = "impersonate-extra-";
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
    if !asked {
        return Ok(user);
    }
    let Some(name) = text("impersonate-user").filter(|name| !name.is_empty()) else {
        return Err(Status::bad_request(
            "requested impersonation without impersonating a user: impersonate-user header is required",
        ));
    };
    let may = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let attributes = Attributes {
            user: &user,
            verb: "impersonate",
            group,
            version: "v1",
            resource,
            subresource,
            namespace,
            name,
            field_selector: "",
            path: "",
        };
        match api.authorizer.authorize(&attributes) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(&attributes, &reason)),
        }
    };
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, account)) => may("", "serviceaccounts", "", namespace, account)?,
        None => may("", "users", "", "", name)?,
    }
    let mut taken = UserInfo {
        name: name.to_owned(),
        uid: text("impersonate-uid").unwrap_or_default().to_owned(),
        ..UserInfo::default()
    };
    if !taken.uid.is_empty() {
        may("authentication.k8s.io", "uids", "", "", &taken.uid)?;
    }
    for group in headers.get_all("impersonate-group") {
        let group = group.to_str().unwrap_or_default().to_owned();
        may("", "groups", "", "", &group)?;
        taken.groups.push(group);
    }
    for (header, value) in headers {
        if let Some(key) = header.as_str().strip_prefix(EXTRA) {
            let key = path::percent_decode(key).unwrap_or_default();
            let value = value.to_str().unwrap_or_default().to_owned();
            may("authentication.k8s.io", "userextras", &key, "", &value)?;
            taken.extra.entry(key).or_default().push(value);
        }
    }
    if let (Some((namespace, _)), true) = (account, taken.groups.is_empty()) {
        taken.groups.push("system:serviceaccounts".to_owned());
        taken.groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    let last = if taken.name == "system:anonymous" {
        "system:unauthenticated"
    } else {
        "system:authenticated"
    };
    if !taken.groups.iter().any(|group| group == last) {
        taken.groups.push(last.to_owned());
    }
    Ok(taken)
}
