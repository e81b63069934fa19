//! Records events, folding repetitions into a count as upstream's recorder does.
//!
//! Source: `k8s.io/client-go/tools/record`. Writing happens in a task of its own, so that a reconciler never waits
//! for it; when 512 events are waiting, more are dropped (events are best effort upstream as well).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{Api, Patch};
use super::resource::{Reference, all};
use crate::controllers::model::Time;

/// `Normal` or `Warning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Information.
    Normal,
    /// Something an operator may want to look at.
    Warning,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Occurrence {
    regarding: Reference,
    kind: EventType,
    reason: String,
    message: String,
}

/// Hands events to the task that writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Occurrence>,
}

impl Recorder {
    /// A recorder for `component` and the task that writes what it records; the task ends with the last recorder.
    pub fn new(api: Api, component: &'static str) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(512);
        (Self { sender }, write_all(api, component, receiver))
    }

    /// Records that something happened to `regarding`.
    pub fn record(&self, regarding: &Reference, kind: EventType, reason: &str, message: impl Into<String>) {
        let occurrence = Occurrence {
            regarding: regarding.clone(),
            kind,
            reason: reason.to_owned(),
            message: message.into(),
        };
        if self.sender.try_send(occurrence).is_err() {
            tracing::debug!(reason, "event dropped: too many are waiting");
        }
    }
}

/// How many distinct events are remembered for counting.
const REMEMBERED: usize = 1024;

async fn write_all(api: Api, component: &'static str, mut receiver: mpsc::Receiver<Occurrence>) {
    // Hash of an occurrence (without its resourceVersion) to the event's name and count.
    let mut seen: HashMap<u64, (String, u64)> = HashMap::new();
    let hasher = RandomState::new();
    while let Some(occurrence) = receiver.recv().await {
        let mut identity = occurrence.clone();
        identity.regarding.resource_version.clear();
        let key = hasher.hash_one(&identity);
        let namespace = event_namespace(&occurrence.regarding);
        let now = Time::now();
        if let Some((name, count)) = seen.get_mut(&key) {
            *count += 1;
            let patch = json!({"count": *count, "lastTimestamp": now.to_string()});
            match api
                .patch(all::events(), &namespace, name, "", Patch::Strategic, &patch)
                .await
            {
                Ok(_) => continue,
                // Expired meanwhile: write a new one.
                Err(error) if error.is_not_found() => drop(seen.remove(&key)),
                Err(error) => {
                    tracing::debug!(%error, "event not updated");
                    continue;
                }
            }
        }
        let name = event_name(&occurrence.regarding.name);
        match api
            .create(
                all::events(),
                &namespace,
                body(&occurrence, component, &namespace, &name, now),
            )
            .await
        {
            Ok(_) => {
                if seen.len() >= REMEMBERED {
                    seen.clear();
                }
                seen.insert(key, (name, 1));
            }
            Err(error) => tracing::debug!(%error, "event not written"),
        }
    }
}

fn event_namespace(regarding: &Reference) -> String {
    if regarding.namespace.is_empty() {
        "default".to_owned()
    } else {
        regarding.namespace.clone()
    }
}

/// `NAME.HEX` with a time stamp, as upstream names events.
fn event_name(object: &str) -> String {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    format!("{object}.{:016x}", nanos as u64)
}

fn body(occurrence: &Occurrence, component: &str, namespace: &str, name: &str, now: Time) -> Value {
    let regarding = &occurrence.regarding;
    let mut involved = json!({
        "kind": regarding.kind, "apiVersion": regarding.api_version, "name": regarding.name,
    });
    for (field, value) in [
        ("namespace", &regarding.namespace),
        ("uid", &regarding.uid),
        ("resourceVersion", &regarding.resource_version),
    ] {
        if !value.is_empty() {
            involved[field] = value.clone().into();
        }
    }
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved,
        "reason": occurrence.reason,
        "message": occurrence.message,
        "type": occurrence.kind.name(),
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": now.to_string(),
        "lastTimestamp": now.to_string(),
        "count": 1,
    })
}
