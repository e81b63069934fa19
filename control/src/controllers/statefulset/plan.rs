//! The next steps of a StatefulSet, decided over plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod::ordinal;
use crate::controllers::model::{Pod, StatefulSet, StatefulSetStatus, Time};
use crate::controllers::revisions::HASH_LABEL;

/// The decision.
#[derive(Debug, Default)]
pub struct Plan {
    /// Ordinals to make, and whether of the update revision (else of the current one).
    pub create: Vec<(i64, bool)>,
    /// Pods to delete.
    pub delete: Vec<Arc<Pod>>,
    /// Pods among them that have ended and are to be made anew.
    pub recreate: Vec<Arc<Pod>>,
    /// Status to write.
    pub status: StatefulSetStatus,
}

/// Decides. `current` and `update` are names of revisions.
pub fn plan(set: &StatefulSet, pods: &[Arc<Pod>], current: &str, update: &str, now: Time) -> Plan {
    let first = set.spec.ordinals.start;
    let end = first + set.replicas();
    let by_ordinal: BTreeMap<i64, &Arc<Pod>> = pods
        .iter()
        .filter_map(|pod| Some((ordinal(set, pod)?, pod)))
        .collect();
    let mut plan = Plan {
        status: status(set, &by_ordinal, current, update, now),
        ..Plan::default()
    };
    if set.metadata.deleted.is_none() {
        steps(set, &by_ordinal, (first, end), update, now, &mut plan);
    }
    plan
}

fn is_healthy(pod: &Pod) -> bool {
    pod.status.phase == "Running" && pod.is_ready() && pod.metadata.deleted.is_none()
}

fn steps(
    set: &StatefulSet,
    by_ordinal: &BTreeMap<i64, &Arc<Pod>>,
    (first, end): (i64, i64),
    update: &str,
    now: Time,
    plan: &mut Plan,
) {
    let ordered = set.spec.pod_management_policy != "Parallel";
    let strategy = &set.spec.update_strategy;
    let updates_from = first + strategy.rolling_update.partition;
    let rolling = strategy.kind != "OnDelete";
    for number in first..end {
        let Some(pod) = by_ordinal.get(&number) else {
            plan.create.push((number, !(rolling && number < updates_from)));
            if ordered {
                return;
            }
            continue;
        };
        if pod.has_ended() && pod.metadata.deleted.is_none() {
            plan.recreate.push(Arc::clone(pod));
            plan.delete.push(Arc::clone(pod));
            if ordered {
                return;
            }
            continue;
        }
        let available = is_healthy(pod) && pod.is_available(set.spec.min_ready_seconds, now);
        if ordered && !available {
            return;
        }
    }
    let condemned: Vec<_> = by_ordinal
        .iter()
        .rev()
        .filter(|(number, _)| **number < first || **number >= end)
        .map(|(_, pod)| *pod)
        .collect();
    // In order, an unhealthy pod holds the scaling down up, be it one that stays (then this has returned above) or one
    // that is to go; but the first of those that are unhealthy may go.
    let first_unhealthy = condemned.iter().rev().find(|pod| !is_healthy(pod));
    for &pod in &condemned {
        if pod.metadata.deleted.is_some() {
            if ordered {
                return;
            }
            continue;
        }
        let available = is_healthy(pod) && pod.is_available(set.spec.min_ready_seconds, now);
        let is_first = first_unhealthy.is_some_and(|first| Arc::ptr_eq(first, pod));
        if ordered && !available && !is_first {
            return;
        }
        plan.delete.push(Arc::clone(pod));
        if ordered {
            return;
        }
    }
    if !rolling || !plan.create.is_empty() || !plan.delete.is_empty() {
        return;
    }
    for (_, pod) in by_ordinal
        .range(updates_from.max(first)..end.max(updates_from))
        .rev()
    {
        let is_new = pod
            .metadata
            .labels
            .get(HASH_LABEL)
            .is_some_and(|label| label == update);
        if !is_new && pod.metadata.deleted.is_none() {
            plan.delete.push(Arc::clone(pod));
            return;
        }
        if !is_healthy(pod) {
            return;
        }
    }
}

fn status(
    set: &StatefulSet,
    by_ordinal: &BTreeMap<i64, &Arc<Pod>>,
    current: &str,
    update: &str,
    now: Time,
) -> StatefulSetStatus {
    let count = |wanted: &dyn Fn(&Pod) -> bool| by_ordinal.values().filter(|pod| wanted(pod)).count() as i64;
    let of = |pod: &Pod, revision: &str| {
        pod.metadata.deleted.is_none()
            && pod
                .metadata
                .labels
                .get(HASH_LABEL)
                .is_some_and(|label| label == revision)
    };
    let mut status = StatefulSetStatus {
        observed_generation: set.metadata.generation,
        replicas: by_ordinal.len() as i64,
        ready_replicas: count(&|pod| pod.status.phase == "Running" && pod.is_ready()),
        available_replicas: count(&|pod| {
            pod.status.phase == "Running" && pod.is_available(set.spec.min_ready_seconds, now)
        }),
        current_replicas: count(&|pod| of(pod, current)),
        updated_replicas: count(&|pod| of(pod, update)),
        current_revision: current.to_owned(),
        update_revision: update.to_owned(),
        collision_count: set.status.collision_count.or(Some(0)),
        conditions: set.status.conditions.clone(),
    };
    let complete = status.updated_replicas == status.replicas && status.ready_replicas == status.replicas;
    if set.spec.update_strategy.kind != "OnDelete" && complete && status.replicas == set.replicas() {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
    status
}
