//! `/metrics` in the Prometheus text format, under upstream's names where upstream has one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Response, StatusCode};

use super::Api;
use super::body::{self, Body};

/// Verb and rendered resource labels.
type Label = (&'static str, String);

/// Request counters.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(Label, u16), Count>>,
}

/// How many, and how long together.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    number: u64,
    time: Duration,
}

impl Metrics {
    /// Counts a request.
    pub fn record(&self, label: Label, code: u16, time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((label, code)).or_default();
        count.number += 1;
        count.time += time;
    }
}

/// Answers.
pub fn serve(api: &Api) -> Response<Body> {
    let mut out = String::new();
    let requests = api
        .metrics
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing into a String cannot fail.
        let _ = out.write_fmt(text);
    };
    line(format_args!(
        "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, group, version, resource and HTTP \
         response code.\n# TYPE apiserver_request_total counter\n"
    ));
    for (((verb, resource), code), count) in &requests {
        let verb = verb.to_uppercase();
        line(format_args!(
            "apiserver_request_total{{verb=\"{verb}\",{resource},code=\"{code}\"}} {}\n",
            count.number
        ));
    }
    line(format_args!(
        "# HELP apiserver_request_duration_seconds Time until the answer began.\n# TYPE apiserver_request_duration_seconds summary\n"
    ));
    for (((verb, resource), code), count) in &requests {
        let verb = verb.to_uppercase();
        let labels = format!("{{verb=\"{verb}\",{resource},code=\"{code}\"}}");
        line(format_args!(
            "apiserver_request_duration_seconds_sum{labels} {}\napiserver_request_duration_seconds_count{labels} {}\n",
            count.time.as_secs_f64(),
            count.number
        ));
    }
    line(format_args!(
        "# HELP apiserver_storage_objects Number of stored objects at the time of last check split by kind.\n\
         # TYPE apiserver_storage_objects gauge\n"
    ));
    let mut seen = std::collections::BTreeSet::new();
    for served in api.registry().all() {
        if seen.insert(&served.storage) {
            let name = match served.storage.group.as_str() {
                "" => served.storage.resource.clone(),
                group => format!("{}.{group}", served.storage.resource),
            };
            line(format_args!(
                "apiserver_storage_objects{{resource=\"{name}\"}} {}\n",
                api.store.count(&served.storage)
            ));
        }
    }
    for (name, help, value) in api.authenticator.tokens().counters().all() {
        line(format_args!(
            "# HELP serviceaccount_{name} {help}\n# TYPE serviceaccount_{name} counter\nserviceaccount_{name} {value}\n"
        ));
    }
    line(format_args!(
        "# HELP keelson_store_revision Revision of the newest durable change.\n# TYPE keelson_store_revision counter\n\
         keelson_store_revision {}\n",
        api.store.revision()
    ));
    body::with_type(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        body::full(out),
    )
}
