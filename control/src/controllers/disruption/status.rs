//! The status of a budget, computed over plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::controllers::model::{Budget, BudgetStatus, Condition, IntOrPercent, Pod, Time};

/// After this time an eviction that was allowed but never seen is taken back.
const DELETION_TIMEOUT: i64 = 120;

/// A computed status.
#[derive(Debug)]
pub struct Computed {
    /// To write.
    pub status: BudgetStatus,
    /// Seconds until an eviction times out.
    pub again: Option<i64>,
}

/// Computes. `scale` is the sum of the wanted replicas of the pods' controllers, or why it is not known.
pub fn compute(budget: &Budget, pods: &[Arc<Pod>], scale: Result<i64, String>, now: Time) -> Computed {
    let counts = expected(budget, pods.len() as i64, scale);
    let (expected, desired, failure) = match counts {
        Ok((expected, desired)) => (expected, desired, None),
        // Without knowing the scale nothing may be evicted.
        Err(message) => (
            budget.status.expected_pods,
            budget.status.desired_healthy,
            Some(message),
        ),
    };
    let (disrupted, again) = disrupted(budget, pods, now);
    let healthy = pods
        .iter()
        .filter(|pod| {
            pod.metadata.deleted.is_none() && !disrupted.contains_key(&pod.metadata.name) && pod.is_ready()
        })
        .count() as i64;
    let allowed = if failure.is_some() || expected <= 0 {
        0
    } else {
        (healthy - desired).max(0)
    };
    let (value, reason) = match (&failure, allowed) {
        (Some(_), _) => ("False", "SyncFailed"),
        (None, 0) => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    let known = Condition::find(&budget.status.conditions, "DisruptionAllowed");
    let since = known
        .filter(|known| known.status == value)
        .and_then(|known| known.last_transition_time);
    let condition = Condition {
        kind: "DisruptionAllowed".to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: failure.unwrap_or_default(),
        last_transition_time: Some(since.unwrap_or(now)),
        ..Condition::default()
    };
    let mut conditions: Vec<_> = budget
        .status
        .conditions
        .iter()
        .filter(|c| c.kind != "DisruptionAllowed")
        .cloned()
        .collect();
    conditions.push(condition);
    Computed {
        status: BudgetStatus {
            observed_generation: budget.metadata.generation,
            disrupted_pods: disrupted,
            disruptions_allowed: allowed,
            current_healthy: healthy,
            desired_healthy: desired,
            expected_pods: expected,
            conditions,
        },
        again,
    }
}

/// Pods there should be, and healthy ones that there must be.
fn expected(budget: &Budget, pods: i64, scale: Result<i64, String>) -> Result<(i64, i64), String> {
    match (&budget.spec.max_unavailable, &budget.spec.min_available) {
        (Some(bound), _) => {
            let scale = scale?;
            Ok((scale, (scale - bound.resolve(scale, true)).max(0)))
        }
        (None, Some(IntOrPercent::Int(number))) => Ok((pods, *number)),
        (None, Some(percent)) => {
            let scale = scale?;
            Ok((scale, percent.resolve(scale, true)))
        }
        (None, None) => Ok((pods, 0)),
    }
}

/// Allowed evictions that are still to be seen.
fn disrupted(budget: &Budget, pods: &[Arc<Pod>], now: Time) -> (BTreeMap<String, Time>, Option<i64>) {
    let mut kept = BTreeMap::new();
    let mut again: Option<i64> = None;
    for (name, since) in &budget.status.disrupted_pods {
        let waiting = pods
            .iter()
            .any(|pod| pod.metadata.name == *name && pod.metadata.deleted.is_none());
        let left = since.0 + DELETION_TIMEOUT - now.0;
        if waiting && left > 0 {
            kept.insert(name.clone(), *since);
            again = Some(again.map_or(left, |earlier| earlier.min(left)));
        }
    }
    (kept, again)
}
