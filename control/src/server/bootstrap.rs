//! Creating what every cluster has, through the handlers like any client, before anybody else is served.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::pipeline::{Peer, handle};
use super::registry::api_version;
use super::{PAUSE, Server, body};
use crate::Error;
use crate::auth::UserInfo;
use crate::auth::rbac::reconciled;
use crate::bootstrap::{TRACKING, is_tracking};
use crate::object::GroupResource;
use crate::store::key_of;

/// Objects that follow the configuration: they are replaced when they differ. Where several servers share the store,
/// endpoints are looked after together ([`crate::presence`]).
const FOLLOWING: [&str; 3] = ["Endpoints", "EndpointSlice", "ConfigMap"];

/// The group of roles and bindings: the default ones get what they lack.
const RBAC: &str = "rbac.authorization.k8s.io";

/// How long an etcd may take to store what every cluster has.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between tries to make it: everybody waits for this.
const AGAIN: Duration = Duration::from_secs(1);

/// Why an object was not made: what the API answered.
struct Refused {
    code: u16,
    why: String,
}

impl Server {
    /// Makes what is there before anybody is served: these objects, and the APIServices of the groups. Tells whether the
    /// latter are there; a cluster whose disk is full must serve without them, or nobody could delete anything.
    pub async fn begin(&self, objects: Vec<Value>) -> Result<bool, Error> {
        // Together, so that they share commits.
        let (made, registered) = futures::future::join(self.bootstrap(objects), self.register()).await;
        made?;
        Ok(registered)
    }

    /// Creates the objects that are not there yet, in their order; namespaces first, the rest together, so that they
    /// share commits.
    pub(super) async fn bootstrap(&self, objects: Vec<Value>) -> Result<(), Error> {
        let (first, rest): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "Namespace");
        for group in [first, rest] {
            let work = group.iter().map(|object| self.ensure(object));
            futures::future::try_join_all(work).await?;
        }
        Ok(())
    }

    /// Brings the `kubernetes` Service and its endpoints back whenever somebody deletes it, as upstream's API server
    /// does. Runs until the store is closed.
    pub async fn keep_kubernetes_service(&self, objects: Vec<Value>) {
        let ours = |object: &Value| {
            let meta = &object["metadata"];
            meta["namespace"] == "default" && meta["name"] == "kubernetes"
        };
        let objects: Vec<_> = objects.into_iter().filter(ours).collect();
        let services = Arc::new(GroupResource::new("", "services"));
        let mut changes = self.api.store.subscribe(&services);
        loop {
            changes.borrow_and_update();
            let found = self.api.store.get(&services, &key_of("default", "kubernetes"));
            let made = match found {
                Some(_) => Ok(()),
                None => self.bootstrap(objects.clone()).await,
            };
            if let Err(error) = &made {
                tracing::warn!(%error, "the kubernetes Service was deleted and cannot be made again");
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep(PAUSE), if made.is_err() => {}
            }
        }
    }

    /// Makes an object that is not there, or brings it up to date. An etcd that does not answer for a moment, when it elects
    /// a leader or waits for its disk, is asked again: a control plane that ends here takes the whole cluster with it.
    async fn ensure(&self, object: &Value) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.make(object).await {
                Ok(()) => return Ok(()),
                Err(Refused { code, why }) => {
                    let passes = self.api.shared && matches!(code, 500 | 503 | 504);
                    if !passes || Instant::now() >= until {
                        let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                        let kind = object["kind"].as_str().unwrap_or_default();
                        let (namespace, name) = (meta("namespace"), meta("name"));
                        return Err(Error::Config(format!(
                            "bootstrap of {kind} {namespace}/{name}: {why}"
                        )));
                    }
                    tracing::warn!(code, why, "what every cluster has cannot be made yet");
                }
            }
            sleep(AGAIN).await;
        }
    }

    async fn make(&self, object: &Value) -> Result<(), Refused> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        let wrong = |why: &str| Refused {
            code: 0,
            why: why.to_owned(),
        };
        let (group, _) = version.split_once('/').unwrap_or(("", &version));
        let registry = self.api.registry();
        let Some(served) = registry.find_kind(group, &kind) else {
            return Err(wrong("there is no such kind"));
        };
        let (plural, found_version) = (&served.kind.plural, &served.kind.version);
        let root = if group.is_empty() { "/api" } else { "/apis" };
        let version = api_version(group, found_version);
        let collection = if namespace.is_empty() {
            format!("{root}/{version}/{plural}")
        } else {
            format!("{root}/{version}/namespaces/{namespace}/{plural}")
        };
        let stored = self.api.store.get(&served.storage, &key_of(&namespace, &name));
        let one = format!("{collection}/{name}");
        let (method, path, object) = match stored {
            None => (Method::POST, collection, object.clone()),
            // It says since when, which is not since this start.
            Some(stored) if name == TRACKING && is_tracking(&stored.value()) => return Ok(()),
            // An empty one is for somebody else to fill.
            Some(_) if kind == "ConfigMap" && object["data"].is_null() => return Ok(()),
            Some(_) if FOLLOWING.contains(&kind.as_str()) && (!self.api.shared || kind == "ConfigMap") => {
                (Method::PUT, one, object.clone())
            }
            Some(stored) if group == RBAC => match reconciled(&stored.value(), object) {
                Some(new) => (Method::PUT, one, new),
                None => return Ok(()),
            },
            Some(_) => return Ok(()),
        };
        let mut request = Request::new(body::full(serde_json::to_vec(&object).unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| wrong("its name does not make a path"))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver"));
        let user = UserInfo {
            name: "system:apiserver".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            ..UserInfo::default()
        };
        let response = handle(self.api.clone(), request, Peer::Local(user)).await;
        if response.status().is_success() || response.status() == http::StatusCode::CONFLICT {
            return Ok(());
        }
        // Another server has made it in between, and a Service's address is taken, namely by itself.
        if self.api.shared
            && self
                .api
                .store
                .get(&served.storage, &key_of(&namespace, &name))
                .is_some()
        {
            return Ok(());
        }
        let code = response.status().as_u16();
        let why = match response.into_body().collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(error) => error.to_string(),
        };
        Err(Refused { code, why })
    }
}
