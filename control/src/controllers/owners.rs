//! What controllers of pods share: following the owners and the pods that they own, and writing a status.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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

/// Replaces the status of an object, if it differs from `known`, which it was made from.
///
/// If the server has another one by now, [`Error::Stale`]: somebody has written to it (a client a condition of its own), and
/// what they wrote would be lost. The work queue comes back to the object, and its cache will have seen it. Upstream's
/// controllers get a Conflict there, because they send the resourceVersion that they have read.
pub async fn write_status<S: Serialize + DeserializeOwned + PartialEq + Sync>(
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
    let mut stale = false;
    api.edit(resource, target, "status", |object| {
        let change = replace(&mut object["status"], known, &new);
        stale = change == Change::Stale;
        change == Change::Made
    })
    .await?;
    if stale {
        return Err(Error::Stale(format!("the status of {}", owner.name)));
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Made,
    None,
    Stale,
}

/// Puts a new status in the place of the known one.
fn replace<S: DeserializeOwned + PartialEq>(status: &mut Value, known: &S, new: &Value) -> Change {
    if status == new {
        return Change::None;
    }
    let current = if status.is_null() {
        S::deserialize(json!({}))
    } else {
        S::deserialize(&*status)
    };
    if !current.is_ok_and(|current| current == *known) {
        return Change::Stale;
    }
    *status = new.clone();
    Change::Made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::model::DeploymentStatus;

    #[test]
    fn what_somebody_else_wrote_is_not_replaced() {
        let read = |value: &Value| -> DeploymentStatus { serde_json::from_value(value.clone()).unwrap() };
        let before = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]});
        let (known, new) = (read(&before), json!({"replicas": 2}));

        let mut status = before.clone();
        assert_eq!(replace(&mut status, &known, &new), Change::Made);
        assert_eq!(status, new);
        assert_eq!(replace(&mut status, &known, &new), Change::None);

        let mut status = before.clone();
        let own = json!({"type": "Mine", "status": "True"});
        status["conditions"].as_array_mut().unwrap().push(own);
        let patched = status.clone();
        assert_eq!(replace(&mut status, &known, &new), Change::Stale);
        assert_eq!(status, patched);

        // Never written yet.
        let mut status = Value::Null;
        assert_eq!(replace(&mut status, &read(&json!({})), &new), Change::Made);
    }
}
