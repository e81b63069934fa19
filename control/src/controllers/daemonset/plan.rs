//! Which pods to make and to delete, and the status, decided over plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod::{Fit, fit};
use crate::controllers::model::{DaemonSet, DaemonSetStatus, Node, Pod, Time};
use crate::controllers::revisions::HASH_LABEL;

/// The decision.
#[derive(Debug, Default)]
pub struct Plan {
    /// Nodes to make a pod on.
    pub create: Vec<String>,
    /// Pods to delete.
    pub delete: Vec<Arc<Pod>>,
    /// Pods to delete that have failed: reported, and made anew a moment later.
    pub failed: Vec<Arc<Pod>>,
    /// Status to write.
    pub status: DaemonSetStatus,
}

/// The node a pod is on or meant for.
fn node_of(pod: &Pod) -> &str {
    if pod.spec.node_name.is_empty() {
        &pod.spec.pinned_node
    } else {
        &pod.spec.node_name
    }
}

/// Decides. `template` is the one with the daemon tolerations, `hash` its revision's.
pub fn plan(
    set: &DaemonSet,
    template: &serde_json::Value,
    hash: &str,
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    now: Time,
) -> Plan {
    let mut by_node: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
    for pod in pods {
        by_node.entry(node_of(pod)).or_default().push(pod);
    }
    let fits: BTreeMap<&str, Fit> = nodes
        .iter()
        .map(|node| (node.metadata.name.as_str(), fit(template, node)))
        .collect();
    let mut plan = Plan::default();
    let is_new = |pod: &Pod| {
        pod.metadata
            .labels
            .get(HASH_LABEL)
            .is_some_and(|label| label == hash)
    };
    for (node, fit) in &fits {
        let here = by_node.get(node).map(Vec::as_slice).unwrap_or_default();
        if !fit.run && !fit.stay {
            plan.delete.extend(
                here.iter()
                    .filter(|pod| pod.metadata.deleted.is_none())
                    .map(|pod| (*pod).clone()),
            );
            continue;
        }
        let present = here.iter().filter(|pod| pod.metadata.deleted.is_none());
        let (ended, mut alive): (Vec<Arc<Pod>>, Vec<Arc<Pod>>) = present
            .map(|pod| Arc::clone(pod))
            .partition(|pod| pod.has_ended());
        plan.failed.extend(ended);
        if alive.is_empty() {
            // A pod that is still going holds its place: ports and volumes.
            let going = here.iter().any(|pod| pod.metadata.deleted.is_some());
            if fit.run && !going && !here.iter().any(|pod| pod.has_ended()) {
                plan.create.push((*node).to_owned());
            }
            continue;
        }
        // Of several, the oldest stays; a surging update's pair is handled below by availability.
        alive.sort_by_key(|pod| (pod.metadata.created, pod.metadata.uid.clone()));
        let surging = max_surge(set, fits.len() as i64) > 0;
        let (new, old): (Vec<Arc<Pod>>, Vec<Arc<Pod>>) = alive.into_iter().partition(|pod| is_new(pod));
        let new_available = new
            .iter()
            .any(|pod| pod.is_available(set.spec.min_ready_seconds, now));
        let keep_old = usize::from(new.is_empty() || surging && !new_available);
        plan.delete
            .extend(new.iter().skip(1).chain(old.iter().skip(keep_old)).cloned());
    }
    // Pods on nodes that are gone belong to the pod collector.
    roll(set, &fits, &by_node, &is_new, now, &mut plan);
    plan.status = status(set, &fits, &by_node, &is_new, now);
    plan
}

fn wanted(fits: &BTreeMap<&str, Fit>) -> i64 {
    fits.values().filter(|fit| fit.run).count() as i64
}

fn max_surge(set: &DaemonSet, wanted: i64) -> i64 {
    let bound = set.spec.update_strategy.rolling_update.max_surge.as_ref();
    bound.map_or(0, |bound| bound.resolve(wanted, true))
}

fn max_unavailable(set: &DaemonSet, wanted: i64) -> i64 {
    let bound = set.spec.update_strategy.rolling_update.max_unavailable.as_ref();
    bound.map_or(1, |bound| bound.resolve(wanted, true))
}

/// A rolling update: pods of old templates that are not available go at once, others within the bound; with a
/// surge, new ones are made beside them first.
fn roll(
    set: &DaemonSet,
    fits: &BTreeMap<&str, Fit>,
    by_node: &BTreeMap<&str, Vec<&Arc<Pod>>>,
    is_new: &dyn Fn(&Pod) -> bool,
    now: Time,
    plan: &mut Plan,
) {
    if set.spec.update_strategy.kind == "OnDelete" {
        return;
    }
    let wanted = wanted(fits);
    let mut surge = max_surge(set, wanted);
    let surging = surge > 0;
    let mut room = max_unavailable(set, wanted);
    let mut candidates = Vec::new();
    for (node, _) in fits.iter().filter(|(_, fit)| fit.run) {
        let here = by_node.get(node).map(Vec::as_slice).unwrap_or_default();
        let alive: Vec<_> = here
            .iter()
            .filter(|pod| pod.metadata.deleted.is_none() && !pod.has_ended())
            .collect();
        let available = alive
            .iter()
            .any(|pod| pod.is_available(set.spec.min_ready_seconds, now));
        let new = alive.iter().any(|pod| is_new(pod));
        if surging {
            surge -= i64::from(new && alive.len() > 1);
        }
        match alive.iter().find(|pod| !is_new(pod)) {
            Some(old) if !new && available => candidates.push((*node, (**old).clone())),
            // It serves nobody: replacing it costs nothing.
            Some(old) if !new => plan.delete.push((**old).clone()),
            _ => {}
        }
        room -= i64::from(!available);
    }
    for (node, old) in candidates {
        if surging && surge > 0 {
            surge -= 1;
            plan.create.push(node.to_owned());
        } else if !surging && room > 0 {
            room -= 1;
            plan.delete.push(old);
        }
    }
    plan.delete.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    plan.delete.dedup_by(|a, b| a.metadata.uid == b.metadata.uid);
}

fn status(
    set: &DaemonSet,
    fits: &BTreeMap<&str, Fit>,
    by_node: &BTreeMap<&str, Vec<&Arc<Pod>>>,
    is_new: &dyn Fn(&Pod) -> bool,
    now: Time,
) -> DaemonSetStatus {
    let mut status = DaemonSetStatus {
        observed_generation: set.metadata.generation,
        collision_count: set.status.collision_count,
        conditions: set.status.conditions.clone(),
        ..DaemonSetStatus::default()
    };
    for (node, fit) in fits {
        let mut here: Vec<_> = by_node
            .get(node)
            .into_iter()
            .flatten()
            .filter(|pod| pod.is_active())
            .collect();
        here.sort_by_key(|pod| (pod.metadata.created, pod.metadata.uid.clone()));
        if !fit.run {
            status.number_misscheduled += i64::from(!here.is_empty());
            continue;
        }
        status.desired_number_scheduled += 1;
        let Some(oldest) = here.first() else { continue };
        status.current_number_scheduled += 1;
        let ready = here.iter().find(|pod| pod.is_ready());
        if let Some(pod) = ready {
            status.number_ready += 1;
            status.number_available += i64::from(pod.is_available(set.spec.min_ready_seconds, now));
        }
        status.updated_number_scheduled += i64::from(is_new(ready.unwrap_or(oldest)));
    }
    status.number_unavailable = status.desired_number_scheduled - status.number_available;
    status
}
