//! Whether tokens in secrets are still used: the ConfigMap that says since when this is written down, and the day of the
//! last use on each secret (`controlplane/controller/legacytokentracking` upstream).

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pipeline::{Peer, handle};
use super::{Api, Server, body};
use crate::auth::UserInfo;
use crate::auth::tokens::{LAST_USED, Use};
use crate::bootstrap::{TRACKING, is_tracking, tracking};
use crate::object::GroupResource;
use crate::store::key_of;

/// How long a ConfigMap that somebody deletes stays away at least: servers of other versions may not want it.
const PAUSE: Duration = Duration::from_mins(30);

impl Server {
    /// Writes down the use of tokens, and keeps the ConfigMap. Runs until the server stops.
    pub async fn track_legacy_tokens(&self) {
        let api = &self.api;
        let uses = api.authenticator.tokens().uses();
        let maps = Arc::new(GroupResource::new("", "configmaps"));
        let mut changes = api.store.subscribe(&maps);
        let mut made: Option<Instant> = None;
        loop {
            let there = api.store.get(&maps, &key_of("kube-system", TRACKING));
            let missing = there.is_none_or(|map| !is_tracking(&map.value()));
            let due = made.map_or_else(Instant::now, |made| made + PAUSE);
            tokio::select! {
                used = uses.next() => {
                    for one in used {
                        mark(api, one).await;
                    }
                }
                changed = changes.changed() => if changed.is_err() { return },
                // The pause above, and not a look at the clock: what is missing is known by the watch.
                () = tokio::time::sleep_until(due), if missing => {
                    made = Some(Instant::now());
                    if let Err(error) = self.bootstrap(vec![tracking()]).await {
                        tracing::warn!(%error, "the ConfigMap of legacy tokens cannot be made again");
                    }
                }
                () = api.stopping() => return,
            }
        }
    }
}

/// Writes the day to a secret, unless it is another one by now.
async fn mark(api: &Arc<Api>, used: Use) {
    let patch: Value = json!({"metadata": {"uid": used.uid, "labels": {LAST_USED: used.day}}});
    let mut request = Request::new(body::full(patch.to_string()));
    *request.method_mut() = Method::PATCH;
    let Ok(uri) = format!("/api/v1/namespaces/{}/secrets/{}", used.namespace, used.name).parse() else {
        return;
    };
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/merge-patch+json"),
    );
    headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver"));
    let user = UserInfo {
        name: "system:apiserver".to_owned(),
        groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        ..UserInfo::default()
    };
    let response = handle(Arc::clone(api), request, Peer::Local(user)).await;
    if !response.status().is_success() {
        tracing::debug!(
            status = %response.status(),
            namespace = used.namespace,
            name = used.name,
            "the use of a token in a secret cannot be written down"
        );
    }
}
