//! The text that Prometheus reads. Labels are in the order of their names, as its own library writes them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Response, StatusCode};

use super::histogram::Histogram;
use super::{BYTES, Labels, SECONDS, Series, Translation, process};
use crate::server::accept::Accept;
use crate::server::body::{self, Body};
use crate::server::{Api, dispatch, version};

/// The first buckets are those of whole requests only upstream, not of what counts for objectives.
const NO_OBJECTIVE: usize = 2;

/// Text that grows.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn name(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// A histogram; buckets that end before the first of `ends` are left out.
    fn histogram<const N: usize>(
        &mut self,
        name: &str,
        labels: &str,
        ends: &[f64; N],
        skipped: usize,
        values: &Histogram<N>,
    ) {
        for (end, count) in ends.iter().zip(values.cumulative()).skip(skipped) {
            // As Go writes numbers.
            let end = if *end >= 1e6 {
                format!("1e+{:02}", end.log10())
            } else {
                end.to_string()
            };
            self.line(format_args!("{name}_bucket{{{labels},le=\"{end}\"}} {count}"));
        }
        let count = values.count();
        self.line(format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum{{{labels}}} {}", values.sum()));
        self.line(format_args!("{name}_count{{{labels}}} {count}"));
    }

    fn answer(self, headers: &HeaderMap) -> Response<Body> {
        let size = self.0.len();
        let media = "text/plain; version=0.0.4; charset=utf-8";
        let response = body::with_type(StatusCode::OK, media, body::full(self.0));
        body::compress(response, size, Accept::takes_gzip(headers))
    }
}

impl Labels {
    /// All but the dry run, and what `more` puts between component and group.
    fn shown(&self, more: std::fmt::Arguments<'_>) -> String {
        format!(
            "component=\"{}\"{more},group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
            self.component, self.group, self.resource, self.scope, self.subresource, self.verb, self.version
        )
    }

    fn whole(&self) -> String {
        self.shown(format_args!(",dry_run=\"{}\"", self.dry_run))
    }

    fn plain(&self) -> String {
        self.shown(format_args!(""))
    }
}

/// Answers `/metrics`.
pub fn serve(api: &Api, headers: &HeaderMap) -> Response<Body> {
    let mut out = Text::default();
    // A copy, so that nobody waits for the text.
    let requests = {
        let requests = &api.metrics.requests;
        requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    };
    let requests: BTreeMap<Labels, Series> = requests.into_iter().collect();
    answered(&mut out, &requests);
    terminated(&mut out, api);
    deprecated(&mut out, api, &requests);
    running(&mut out, api);
    translated(&mut out, api);
    stored(&mut out, api);
    for (name, help, value) in api.authenticator.tokens().counters().all() {
        let name = format!("serviceaccount_{name}");
        out.name(&name, "counter", help);
        out.line(format_args!("{name} {value}"));
    }
    out.name(
        "kubernetes_build_info",
        "gauge",
        "What this server was built from.",
    );
    out.line(format_args!("kubernetes_build_info{{{}}} 1", version::labels()));
    process::write(&mut out.0);
    out.answer(headers)
}

fn answered(out: &mut Text, requests: &BTreeMap<Labels, Series>) {
    let help = "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, \
                component, and HTTP response code.";
    out.name("apiserver_request_total", "counter", help);
    for (labels, series) in requests {
        let labels = labels.whole();
        for (code, number) in &series.codes {
            out.line(format_args!(
                "apiserver_request_total{{code=\"{code}\",{labels}}} {number}"
            ));
        }
    }
    let name = "apiserver_request_duration_seconds";
    out.name(name, "histogram", "Time until the answer began, in seconds.");
    for (labels, series) in requests {
        out.histogram(name, &labels.whole(), &SECONDS, 0, &series.durations);
    }
    // What they do not tell apart is one series, and names may come once only.
    let mut together: BTreeMap<String, Series> = BTreeMap::new();
    for (labels, series) in requests {
        let all = together.entry(labels.plain()).or_default();
        all.durations.add(&series.durations);
        if let Some(sizes) = &series.sizes {
            all.sizes.get_or_insert_default().add(sizes);
        }
    }
    let name = "apiserver_request_sli_duration_seconds";
    out.name(name, "histogram", "The same, for rules about objectives.");
    for (labels, series) in &together {
        out.histogram(name, labels, &SECONDS, NO_OBJECTIVE, &series.durations);
    }
    let name = "apiserver_response_sizes";
    out.name(
        name,
        "histogram",
        "Sizes of the answers to reading requests, in bytes.",
    );
    for (labels, series) in &together {
        if let Some(sizes) = &series.sizes {
            out.histogram(name, labels, &BYTES, 0, sizes);
        }
    }
}

/// Streams that kubelets do not speak.
fn translated(out: &mut Text, api: &Api) {
    let translated = &api.metrics.translated;
    let translated = translated.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (how, name, help) in [
        (
            Translation::Channels,
            "apiserver_stream_translator_requests_total",
            "Streams of exec and attach over WebSocket that were translated to SPDY.",
        ),
        (
            Translation::Tunnel,
            "apiserver_stream_tunnel_requests_total",
            "Port-forwards over WebSocket whose SPDY was unpacked.",
        ),
    ] {
        out.name(name, "counter", help);
        for ((_, code), number) in translated.iter().filter(|((own, _), _)| *own == how) {
            out.line(format_args!("{name}{{code=\"{code}\"}} {number}"));
        }
    }
}

/// Requests that were given up because there were too many, or because their time was over.
fn terminated(out: &mut Text, api: &Api) {
    let name = "apiserver_request_terminations_total";
    let help = "Number of requests which apiserver terminated in self-defense.";
    out.name(name, "counter", help);
    let terminated = {
        let terminated = &api.metrics.terminated;
        terminated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    };
    // Dry runs are not told apart.
    let mut together: BTreeMap<(u16, String), u64> = BTreeMap::new();
    for ((labels, code), count) in &terminated {
        *together.entry((*code, labels.plain())).or_default() += count;
    }
    for ((code, labels), count) in together {
        out.line(format_args!("{name}{{code=\"{code}\",{labels}}} {count}"));
    }
}

/// Kinds that are on their way out and have been asked for.
fn deprecated(out: &mut Text, api: &Api, requests: &BTreeMap<Labels, Series>) {
    let name = "apiserver_requested_deprecated_apis";
    out.name(name, "gauge", "Deprecated APIs that have been requested.");
    let registry = api.registry();
    let mut asked = std::collections::BTreeSet::new();
    for labels in requests.keys().filter(|labels| !labels.resource.is_empty()) {
        let served = registry.find(&labels.group, &labels.version, &labels.resource);
        if served.is_some_and(|served| dispatch::deprecation(&served.kind).is_some()) {
            asked.insert([
                &labels.group,
                &labels.resource,
                &labels.subresource,
                &labels.version,
            ]);
        }
    }
    for [group, resource, subresource, version] in asked {
        out.line(format_args!(
            "{name}{{group=\"{group}\",removed_release=\"\",resource=\"{resource}\",subresource=\"{subresource}\",\
             version=\"{version}\"}} 1"
        ));
    }
}

fn running(out: &mut Text, api: &Api) {
    let metrics = &api.metrics;
    let name = "apiserver_current_inflight_requests";
    out.name(
        name,
        "gauge",
        "Requests in flight that are not long-running, by kind.",
    );
    for (kind, count) in [("mutating", &metrics.writing), ("readOnly", &metrics.reading)] {
        let count = count.load(Ordering::Relaxed);
        out.line(format_args!("{name}{{request_kind=\"{kind}\"}} {count}"));
    }
    let name = "apiserver_longrunning_requests";
    out.name(name, "gauge", "Long-running requests that are open.");
    let open = metrics
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut together: BTreeMap<String, u64> = BTreeMap::new();
    for (labels, count) in &open {
        *together.entry(labels.plain()).or_default() += count;
    }
    for (labels, count) in together {
        out.line(format_args!("{name}{{{labels}}} {count}"));
    }
    let name = "apiserver_watch_events_total";
    out.name(name, "counter", "Number of events sent in watch clients.");
    let events = metrics
        .events
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    for ([group, version, kind], count) in events {
        let count = count.load(Ordering::Relaxed);
        out.line(format_args!(
            "{name}{{group=\"{group}\",kind=\"{kind}\",version=\"{version}\"}} {count}"
        ));
    }
}

fn stored(out: &mut Text, api: &Api) {
    let name = "apiserver_storage_objects";
    let help = "Number of stored objects at the time of last check split by kind.";
    out.name(name, "gauge", help);
    let mut seen = std::collections::BTreeSet::new();
    for served in api.registry().all() {
        if seen.insert(&served.storage) {
            let resource = match served.storage.group.as_str() {
                "" => served.storage.resource.clone(),
                group => format!("{}.{group}", served.storage.resource),
            };
            let count = api.store.count(&served.storage);
            out.line(format_args!("{name}{{resource=\"{resource}\"}} {count}"));
        }
    }
    let name = "keelson_store_revision";
    out.name(name, "counter", "Revision of the newest durable change.");
    out.line(format_args!("{name} {}", api.store.revision()));
}

/// Answers `/metrics/slis`: what the health checks have found (`component-base/metrics/prometheus/slis`).
pub fn slis(api: &Api, headers: &HeaderMap) -> Response<Body> {
    let mut out = Text::default();
    let found = api.health.found();
    let name = "kubernetes_healthcheck";
    out.name(
        name,
        "gauge",
        "This metric records the result of a single healthcheck.",
    );
    for ((endpoint, check), found) in &found {
        let up = u8::from(found.last);
        out.line(format_args!(
            "{name}{{name=\"{check}\",type=\"{endpoint}\"}} {up}"
        ));
    }
    let name = "kubernetes_healthchecks_total";
    out.name(
        name,
        "counter",
        "This metric records the results of all healthcheck.",
    );
    for ((endpoint, check), found) in &found {
        for (status, count) in [("error", found.bad), ("success", found.good)] {
            if count > 0 {
                out.line(format_args!(
                    "{name}{{name=\"{check}\",status=\"{status}\",type=\"{endpoint}\"}} {count}"
                ));
            }
        }
    }
    out.answer(headers)
}
