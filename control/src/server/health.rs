//! `/healthz`, `/livez`, `/readyz`: named checks (`k8s.io/apiserver/pkg/server/healthz`).
//!
//! Those that upstream has as well have its names, because probes ask for them and leave them out by name: the store is
//! `etcd`, whichever it is.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use http::{Response, StatusCode};
use keelson_api::status::go_quote;

use super::Api;
use super::body::{self, Body};
use super::query::Query;

/// Parts that must be up before the server is ready.
const PARTS: [&str; 3] = ["bootstrap", "controllers", "scheduler"];

/// Which parts are up.
#[derive(Debug, Default)]
pub struct Health {
    ready: Mutex<BTreeSet<&'static str>>,
}

impl Health {
    /// Marks a part as up.
    pub fn ready(&self, part: &'static str) {
        self.ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(part);
    }

    /// Whether a part is up.
    pub fn is_ready(&self, part: &str) -> bool {
        self.ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(part)
    }
}

/// Answers a health path; `None` for other paths.
pub fn serve(api: &Api, path: &str, query: &Query) -> Option<Response<Body>> {
    let mut segments = path.trim_matches('/').splitn(2, '/');
    let endpoint = segments.next()?;
    if !matches!(endpoint, "healthz" | "livez" | "readyz") {
        return None;
    }
    let mut checks = vec![("ping", true), ("etcd", api.store.is_healthy())];
    if endpoint == "readyz" {
        checks.extend(PARTS.map(|part| (part, api.health.is_ready(part))));
        checks.push(("shutdown", !*api.stop.borrow()));
    }
    let mut excluded: BTreeSet<&str> = query.all("exclude").collect();
    if let Some(only) = segments.next() {
        // Who asks for one wants to know of that one.
        excluded.clear();
        checks.retain(|(name, _)| *name == only);
        if checks.is_empty() {
            return Some(body::text(StatusCode::NOT_FOUND, "404 page not found\n"));
        }
    }
    let mut text = String::new();
    let mut healthy = true;
    for (name, ok) in checks {
        let line = if excluded.remove(name) {
            format!("[+]{name} excluded: ok\n")
        } else if ok {
            format!("[+]{name} ok\n")
        } else {
            healthy = false;
            format!("[-]{name} failed: reason withheld\n")
        };
        text.push_str(&line);
    }
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.into_iter().map(go_quote).collect();
        let names = names.join(",");
        text = format!("{text}warn: some health checks cannot be excluded: no matches for {names}\n");
    }
    Some(if !healthy {
        body::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{text}{endpoint} check failed\n"),
        )
    } else if query.has("verbose") {
        body::text(StatusCode::OK, format!("{text}{endpoint} check passed\n"))
    } else {
        body::text(StatusCode::OK, "ok")
    })
}
