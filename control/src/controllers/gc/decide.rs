//! What to do about one object.

use serde_json::{Value, json};

use super::graph::{FOREGROUND, ORPHAN};
use crate::controllers::model::OwnerReference;

/// How an owner reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The owner is there.
    Solid,
    /// There is no such owner.
    Dangling,
    /// The owner waits for this dependent to go.
    Waiting,
}

/// The decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Leave it.
    Keep,
    /// Write these owner references.
    SetOwners(Vec<Value>),
    /// Delete it with this propagation policy.
    Delete(&'static str),
}

/// Decides over the live object. `standings` has one entry per owner reference; `has_dependents` whether others
/// depend on the object.
pub fn decide(live: &Value, standings: &[Standing], has_dependents: bool) -> Verdict {
    let owners = live["metadata"]["ownerReferences"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if owners.is_empty() || owners.len() != standings.len() {
        return Verdict::Keep;
    }
    let solid = |standing: &Standing| *standing == Standing::Solid;
    if standings.iter().all(solid) {
        return Verdict::Keep;
    }
    if standings.iter().any(solid) {
        let pairs = owners.iter().zip(standings);
        let kept = pairs
            .filter(|(_, standing)| solid(standing))
            .map(|(owner, _)| owner.clone());
        return Verdict::SetOwners(kept.collect());
    }
    if !live["metadata"]["deletionTimestamp"].is_null() {
        return Verdict::Keep;
    }
    if standings.contains(&Standing::Waiting) && has_dependents {
        return Verdict::Delete("Foreground");
    }
    let has = |name: &str| {
        let list = live["metadata"]["finalizers"].as_array();
        list.is_some_and(|list| list.iter().any(|finalizer| finalizer.as_str() == Some(name)))
    };
    Verdict::Delete(if has(ORPHAN) {
        "Orphan"
    } else if has(FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    })
}

/// A merge patch that takes one finalizer away, on this revision only.
pub fn without_finalizer(live: &Value, name: &str) -> Option<Value> {
    let list = live["metadata"]["finalizers"].as_array()?;
    let kept: Vec<_> = list
        .iter()
        .filter(|finalizer| finalizer.as_str() != Some(name))
        .cloned()
        .collect();
    (kept.len() != list.len()).then(|| patch(live, "finalizers", kept))
}

/// A merge patch that takes one owner away, on this revision only.
pub fn without_owner(live: &Value, uid: &str) -> Option<Value> {
    let list = live["metadata"]["ownerReferences"].as_array()?;
    let kept: Vec<_> = list
        .iter()
        .filter(|owner| owner["uid"].as_str() != Some(uid))
        .cloned()
        .collect();
    (kept.len() != list.len()).then(|| patch(live, "ownerReferences", kept))
}

/// A merge patch of one metadata list, on this revision only.
pub fn patch(live: &Value, field: &str, list: Vec<Value>) -> Value {
    let list = if list.is_empty() { Value::Null } else { list.into() };
    json!({"metadata": {
        "uid": live["metadata"]["uid"],
        "resourceVersion": live["metadata"]["resourceVersion"],
        field: list,
    }})
}

/// The owner references with nothing of theirs that an owner's foreground deletion would wait for; `None` if they are so
/// already.
pub fn unblocked(live: &Value) -> Option<Vec<Value>> {
    let mut owners = live["metadata"]["ownerReferences"].as_array()?.clone();
    let mut any = false;
    for owner in owners
        .iter_mut()
        .filter(|owner| owner["blockOwnerDeletion"] == true)
    {
        owner["blockOwnerDeletion"] = false.into();
        any = true;
    }
    any.then_some(owners)
}

/// The owner references of a live object.
pub fn owners(live: &Value) -> Vec<OwnerReference> {
    serde_json::from_value(live["metadata"]["ownerReferences"].clone()).unwrap_or_default()
}
