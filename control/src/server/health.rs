//! `/healthz`, `/livez`, `/readyz`: named checks (`k8s.io/apiserver/pkg/server/healthz`).
//!
//! Those that upstream has as well have its names, because probes ask for them and leave them out by name: the store is
//! `etcd`, whichever it is, and a `poststarthook` is what upstream does after its start and this server has done before
//! it is ready. Hooks for which there is nothing here have no names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use http::{Response, StatusCode};
use keelson_api::status::go_quote;

use super::Api;
use super::body::{self, Body};
use super::query::Query;

/// Part that writes the objects which every cluster has.
const BOOTSTRAP: &str = "bootstrap";
/// What it stands for upstream.
const HOOKS: [&str; 6] = [
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/bootstrap-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
];
/// What is done before the first request is taken: definitions are loaded with the server, and so is the cache of objects.
const AT_START: [&str; 3] = [
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
];
/// Parts that must be up before the server is ready.
const PARTS: [&str; 3] = [BOOTSTRAP, "controllers", "scheduler"];

/// Which parts are up, and what checks have found.
#[derive(Debug, Default)]
pub struct Health {
    ready: Mutex<BTreeSet<&'static str>>,
    found: Mutex<BTreeMap<(&'static str, &'static str), Found>>,
}

/// What one check has found so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Found {
    /// The last time.
    pub last: bool,
    /// How often it was well.
    pub good: u64,
    /// How often it was not.
    pub bad: u64,
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

    /// What was found, by endpoint and check.
    pub fn found(&self) -> BTreeMap<(&'static str, &'static str), Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, endpoint: &'static str, check: &'static str, ok: bool) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.entry((endpoint, check)).or_default();
        found.last = ok;
        *if ok { &mut found.good } else { &mut found.bad } += 1;
    }
}

/// The checks of an endpoint, in upstream's order.
fn checks(api: &Api, endpoint: &str) -> Vec<(&'static str, bool)> {
    let ready = endpoint == "readyz";
    let store = api.store.is_healthy();
    let is_up = |part| api.health.is_ready(part);
    // Lines are written to a pipe that nobody waits for.
    let mut checks = vec![("ping", true), ("log", true), ("etcd", store)];
    if ready {
        // The store's cache is whole before it is opened.
        checks.extend([("etcd-readiness", store), ("informer-sync", true)]);
    }
    checks.extend(AT_START.map(|hook| (hook, true)));
    checks.extend(HOOKS.map(|hook| (hook, is_up(BOOTSTRAP))));
    if ready {
        checks.extend(PARTS.map(|part| (part, is_up(part))));
        checks.push(("shutdown", !*api.stop.borrow()));
    }
    checks
}

/// Answers a health path; `None` for other paths.
pub fn serve(api: &Api, path: &str, query: &Query) -> Option<Response<Body>> {
    let mut segments = path.trim_matches('/').splitn(2, '/');
    let endpoint = match segments.next()? {
        "healthz" => "healthz",
        "livez" => "livez",
        "readyz" => "readyz",
        _ => return None,
    };
    let mut checks = checks(api, endpoint);
    let mut excluded: BTreeSet<&str> = query.all("exclude").collect();
    let only = segments.next();
    if let Some(only) = only {
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
        let leaves_out = excluded.remove(name);
        if only.is_none() && !leaves_out {
            api.health.note(endpoint, name, ok);
        }
        let line = if leaves_out {
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
