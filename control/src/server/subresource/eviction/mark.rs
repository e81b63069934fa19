//! What an eviction leaves in the statuses of the pod and of its budget.

use std::sync::Arc;

use keelson_api::status::Status;
use keelson_api::time;
use serde_json::{Value, json};

use super::TRIES;
use crate::object::Object;
use crate::server::call::Call;
use crate::server::encode;
use crate::store::{Change, Expect, StoreError, Write, key_of};

/// Tells in the pod's status why it goes, as failure policies of jobs ask (`addConditionAndDeletePod`). `fixed` is a pod
/// that must not have changed since. The revision of the marked pod.
pub(super) async fn pod(call: &Call, pod: &Arc<Object>, fixed: bool) -> Result<u64, Status> {
    let kind = call.kind();
    let conflict = || Status::conflict(&kind.group, &kind.plural, &pod.name);
    let mut current = pod.clone();
    for _ in 0..TRIES {
        let mut value = current.value();
        let said = ("EvictionByEvictionAPI", "Eviction API: evicting");
        if !set(&mut value["status"], "DisruptionTarget", "True", said) {
            return Ok(current.resource_version);
        }
        let write = Write {
            resource: call.storage().clone(),
            key: key_of(&current.namespace, &current.name),
            expect: Expect::Revision(current.resource_version),
            change: Change::Put {
                object: encode::object(kind, &value),
                expires: None,
            },
        };
        match call.api.store.write(write).await {
            Ok(stored) => return Ok(stored.resource_version),
            Err(StoreError::Conflict(_)) if !fixed => current = call.stored()?,
            Err(StoreError::Conflict(_)) => return Err(conflict()),
            Err(error) => return Err(call.store_error(&pod.name, &error)),
        }
        if current.uid != pod.uid {
            return Err(conflict());
        }
    }
    Err(conflict())
}

/// Sets a condition; whether that changed anything. Its time is that of the last change of its value.
pub(super) fn set(status: &mut Value, kind: &str, value: &str, (reason, message): (&str, &str)) -> bool {
    if !status.is_object() {
        *status = json!({});
    }
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return false;
    };
    let known = conditions.iter_mut().find(|known| known["type"] == kind);
    let since = known
        .as_ref()
        .filter(|known| known["status"] == value)
        .and_then(|known| known["lastTransitionTime"].as_str())
        .map_or_else(time::now_rfc3339, str::to_owned);
    let new = json!({"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": since});
    match known {
        Some(known)
            if ["status", "reason", "message"]
                .iter()
                .all(|f| known.get(f) == new.get(f)) =>
        {
            false
        }
        Some(known) => {
            *known = new;
            true
        }
        None => {
            conditions.push(new);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_set_once_and_keeps_its_time() {
        let said = ("R", "m");
        let old = json!({"type": "A", "status": "True", "reason": "Q", "lastTransitionTime": "2024-01-01T00:00:00Z"});
        let mut status = json!({ "conditions": [old] });
        assert!(set(&mut status, "A", "True", said));
        let expected = json!([{"type": "A", "status": "True", "reason": "R", "message": "m",
            "lastTransitionTime": "2024-01-01T00:00:00Z"}]);
        assert_eq!(status["conditions"], expected);
        assert!(!set(&mut status, "A", "True", said));
        assert!(set(&mut status, "A", "False", said));
        assert_ne!(
            status["conditions"][0]["lastTransitionTime"],
            "2024-01-01T00:00:00Z"
        );
        let mut none = Value::Null;
        assert!(set(&mut none, "A", "True", ("R", "")));
        assert_eq!(none["conditions"][0]["message"], "");
    }
}
