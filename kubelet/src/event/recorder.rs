//! The recorder: takes events without blocking and sends them in order.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::Kind;
use super::series::{Key, Series, Verdict};

/// Events waiting to be sent; more are dropped while the API cannot be reached.
const QUEUE: usize = 1000;

struct Occurrence {
    about: ObjectReference,
    kind: Kind,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Handle for recording; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Occurrence>,
}

impl Recorder {
    /// Starts the sender for this node. It ends when the last handle is dropped.
    pub fn start(client: Client, node: String) -> Self {
        let (queue, received) = mpsc::channel(QUEUE);
        tokio::spawn(send_all(client, node, received));
        Self { queue }
    }

    /// Records an event; never blocks. Dropped when the queue is full.
    pub fn record(&self, about: ObjectReference, kind: Kind, reason: &str, message: impl Into<String>) {
        let occurrence = Occurrence {
            about,
            kind,
            reason: reason.to_owned(),
            message: truncate(message.into()),
            at: Timestamp::now(),
        };
        if self.queue.try_send(occurrence).is_err() {
            tracing::debug!(reason, "event queue full: event dropped");
        }
    }
}

/// The API refuses messages above 1024 bytes.
fn truncate(mut message: String) -> String {
    const LIMIT: usize = 1024;
    if message.len() > LIMIT {
        let end = (0..=LIMIT)
            .rev()
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(0);
        message.truncate(end);
    }
    message
}

async fn send_all(client: Client, node: String, mut queue: mpsc::Receiver<Occurrence>) {
    let mut series = Series::default();
    while let Some(occurrence) = queue.recv().await {
        // An API server that is down for a restart gets the event a little later; one that stays away does not hold
        // up newer events for long.
        for delay in [500, 1000, 2000, 4000, 0] {
            match send(&client, &node, &occurrence, &mut series).await {
                Err(error) if delay > 0 && transient(&error) => {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                }
                Err(error) => {
                    tracing::warn!(reason = occurrence.reason, %error, "event not recorded");
                    break;
                }
                Ok(()) => break,
            }
        }
    }
}

fn transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500 || status.code == 429,
        _ => true,
    }
}

async fn send(client: &Client, node: &str, o: &Occurrence, series: &mut Series) -> Result<(), kube::Error> {
    let namespace = o.about.namespace.clone().unwrap_or_else(|| "default".into());
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let key = Key {
        uid: o.about.uid.clone().unwrap_or_default(),
        name: o.about.name.clone().unwrap_or_default(),
        field_path: o.about.field_path.clone().unwrap_or_default(),
        kind: o.kind,
        reason: o.reason.clone(),
        message: o.message.clone(),
    };
    match series.judge(&key, o.at) {
        Verdict::Drop => return Ok(()),
        Verdict::Count { name, count } => {
            let patch = serde_json::json!({"count": count, "lastTimestamp": Time(o.at)});
            match api
                .patch(&name, &PatchParams::default(), &Patch::Strategic(patch))
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => series.forget(&key),
                answer => return answer.map(drop),
            }
        }
        Verdict::Create => {}
    }
    let name = format!("{}.{:x}", key.name, o.at.as_nanosecond());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        involved_object: o.about.clone(),
        type_: Some(o.kind.as_str().into()),
        reason: Some(o.reason.clone()),
        message: Some(o.message.clone()),
        count: Some(1),
        first_timestamp: Some(Time(o.at)),
        last_timestamp: Some(Time(o.at)),
        source: Some(EventSource {
            component: Some("kubelet".into()),
            host: Some(node.to_owned()),
        }),
        reporting_component: Some("kubelet".into()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    };
    match api.create(&PostParams::default(), &event).await {
        Ok(_) => {
            series.created(key, name);
            Ok(())
        }
        // The namespace is being deleted, or is gone: nobody can read the event any more.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 403 || status.code == 409 => {
            tracing::debug!(reason = o.reason, %status, "event refused");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
