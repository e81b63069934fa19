//! What controllers of pods share: following the owners and the pods that they own, and writing a status.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::api::{Api, Error, Resource};
use super::informer::{Expectations, Informer, Key, Object, Queue};
use super::model::{Meta, Pod};

/// Queues every owner that changes, and forgets what was expected for one that is gone.
pub fn follow<T: Object>(owners: &Informer<T>, queue: &Arc<Queue<Key>>, expectations: &Arc<Expectations>) {
    let (queue, expectations) = (queue.clone(), expectations.clone());
    owners.on_change(move |old, new| {
        if let (Some(old), None) = (old, new) {
            expectations.forget(&old.meta().key());
        }
        if let Some(owner) = new.or(old) {
            queue.add(owner.meta().key());
        }
    });
}

/// Queues the owner, of the given kind, of every pod that changes, and counts pods that appear and go.
pub fn follow_pods(
    pods: &Informer<Pod>,
    kind: &'static str,
    queue: &Arc<Queue<Key>>,
    expectations: &Arc<Expectations>,
) {
    let (queue, expectations) = (queue.clone(), expectations.clone());
    pods.on_change(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            let Some(owner) = pod.metadata.controller().filter(|owner| owner.kind == kind) else {
                continue;
            };
            let key = Key::new(&pod.metadata.namespace, &owner.name);
            if old.is_none() && pod.metadata.deleted.is_none() {
                expectations.created(&key);
            } else if new.is_none() || pod.metadata.deleted.is_some() {
                expectations.deleted(&key, &pod.metadata.uid);
            }
            queue.add(key);
        }
    });
}

/// Replaces the status of an object, if it differs from the one that we know and from the one that the server has.
pub async fn write_status<S: Serialize + PartialEq>(
    api: &Api,
    (resource, owner): (&Resource, &Meta),
    known: &S,
    status: &S,
) -> Result<(), Error> {
    if status == known {
        return Ok(());
    }
    let target = (owner.namespace.as_str(), owner.name.as_str(), owner.uid.as_str());
    let new = json!(status);
    api.edit(resource, target, "status", |object| {
        let changed = object["status"] != new;
        object["status"] = new.clone();
        changed
    })
    .await?;
    Ok(())
}
