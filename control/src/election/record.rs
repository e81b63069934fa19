//! What a candidate writes into a Lease (`coordination.k8s.io/v1`), decided from what it has seen of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// What has been seen of the Lease, and when it was first seen so.
#[derive(Debug, Default)]
pub struct Observed {
    spec: Value,
    since: Option<Instant>,
}

impl Observed {
    /// Takes note of the Lease as it is.
    pub fn see(&mut self, lease: Option<&Value>, now: Instant) {
        let spec = lease.map_or(&Value::Null, |lease| &lease["spec"]);
        if self.since.is_none() || self.spec != *spec {
            self.spec = spec.clone();
            self.since = Some(now);
        }
    }

    /// Whether somebody else has it.
    pub fn is_lost(&self, identity: &str) -> bool {
        let holder = self.spec["holderIdentity"].as_str().unwrap_or_default();
        holder != identity
    }

    /// Whether its holder may still be acting.
    fn is_held(&self, now: Instant, default: Duration) -> bool {
        let held = self.spec["holderIdentity"]
            .as_str()
            .is_some_and(|holder| !holder.is_empty());
        let duration = self.spec["leaseDurationSeconds"]
            .as_u64()
            .map_or(default, Duration::from_secs);
        held && self.since.is_some_and(|since| now < since + duration)
    }
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Somebody else leads.
    Wait,
    /// Make the Lease; it has no name yet.
    Create(Value),
    /// Write this in its place.
    Replace(Value),
}

/// Decides; `time` is now as the Lease writes it.
pub fn next(
    current: Option<Value>,
    observed: &Observed,
    identity: &str,
    now: Instant,
    duration: Duration,
    time: &str,
) -> Step {
    let fresh = |transitions: u64| {
        json!({
            "holderIdentity": identity,
            // Whole seconds, of which the API wants at least one.
            "leaseDurationSeconds": duration.as_secs().max(1),
            "acquireTime": time,
            "renewTime": time,
            "leaseTransitions": transitions,
        })
    };
    let Some(mut lease) = current else {
        return Step::Create(json!({"metadata": {}, "spec": fresh(0)}));
    };
    let ours = lease["spec"]["holderIdentity"] == identity;
    if ours {
        lease["spec"]["renewTime"] = time.into();
        lease["spec"]["leaseDurationSeconds"] = duration.as_secs().max(1).into();
        return Step::Replace(lease);
    }
    if observed.is_held(now, duration) {
        return Step::Wait;
    }
    let transitions = lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0);
    lease["spec"] = fresh(transitions + 1);
    Step::Replace(lease)
}

/// The Lease without a holder, if it is ours; as client-go leaves it.
pub fn released(mut lease: Value, identity: &str, time: &str) -> Option<Value> {
    if lease["spec"]["holderIdentity"] != identity {
        return None;
    }
    let transitions = lease["spec"]["leaseTransitions"].clone();
    lease["spec"] = json!({
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": time,
        "renewTime": time,
        "leaseTransitions": transitions,
    });
    Some(lease)
}
