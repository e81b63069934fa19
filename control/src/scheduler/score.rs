//! Which of the nodes that would do is best.
//!
//! Upstream's default weights: resources 1 (least allocated) and 1 (balanced), spreading 2, node affinity 2, pod
//! affinity 2, taints 3. Spreading is by the pod's own constraints; for a pod without any by owner: fewer pods of the same
//! controller on the node are better.

use super::pod::PodView;
use super::snapshot::{NodeState, NodeView, nonzero};
use super::topology::Topology;

/// A node that would do, by slot.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Slot in the snapshot.
    pub slot: usize,
    /// Raw counts, normalized over all candidates by [`best`].
    crowd: Option<i64>,
    taints: i64,
    node_affinity: i64,
    pod_affinity: i64,
    resources: i64,
}

/// Looks at one node.
pub fn assess(
    pod: &PodView,
    slot: usize,
    state: &NodeState,
    node: &NodeView,
    topology: &Topology<'_>,
) -> Candidate {
    Candidate {
        slot,
        crowd: if pod.spread.is_empty() {
            Some(siblings(pod, state))
        } else {
            topology.crowd(node)
        },
        taints: node
            .taints
            .iter()
            .filter(|taint| taint.effect == "PreferNoSchedule")
            .filter(|taint| {
                !pod.tolerations
                    .iter()
                    .any(|toleration| taint.is_tolerated_by(toleration))
            })
            .count() as i64,
        node_affinity: pod
            .affinity
            .node_affinity
            .preferred
            .iter()
            .filter(|preferred| preferred.preference.matches(&node.meta.name, &node.meta.labels))
            .map(|preferred| preferred.weight)
            .sum(),
        pod_affinity: topology.preference(node),
        resources: resources(pod, state, node),
    }
}

/// The best candidate; the first of several.
pub fn best(candidates: &[Candidate]) -> Option<usize> {
    let highest = |value: fn(&Candidate) -> i64| candidates.iter().map(value).max().unwrap_or(0);
    let (taints, affinity) = (highest(|c| c.taints), highest(|c| c.node_affinity));
    let crowds = || candidates.iter().filter_map(|c| c.crowd);
    let (fullest, emptiest) = (crowds().max().unwrap_or(0), crowds().min().unwrap_or(0));
    let (top, bottom) = (
        highest(|c| c.pod_affinity),
        candidates.iter().map(|c| c.pod_affinity).min().unwrap_or(0),
    );
    let fewer = |value: i64, most: i64| {
        if most == 0 {
            100
        } else {
            100 * (most - value) / most
        }
    };
    let more = |value: i64, least: i64, most: i64| {
        if most == least {
            0
        } else {
            100 * (value - least) / (most - least)
        }
    };
    let total = |c: &Candidate| {
        c.resources
            + 2 * c.crowd.map_or(0, |crowd| fewer(crowd - emptiest, fullest))
            + 3 * fewer(c.taints, taints)
            + 2 * more(c.node_affinity, 0, affinity)
            + 2 * more(c.pod_affinity, bottom, top)
    };
    let mut winner: Option<(i64, usize)> = None;
    for candidate in candidates {
        let score = total(candidate);
        if winner.is_none_or(|(best, _)| score > best) {
            winner = Some((score, candidate.slot));
        }
    }
    winner.map(|(_, slot)| slot)
}

fn siblings(pod: &PodView, state: &NodeState) -> i64 {
    let Some(owner) = pod.meta.controller() else {
        return 0;
    };
    let same = |other: &PodView| {
        other
            .meta
            .controller()
            .is_some_and(|other| other.uid == owner.uid)
    };
    state.pods.values().filter(|other| same(other)).count() as i64
}

/// Least allocated plus balanced allocation, 0-200.
fn resources(pod: &PodView, state: &NodeState, node: &NodeView) -> i64 {
    let (cpu, memory) = nonzero(&pod.request);
    let share = |wanted: i64, used: i64, total: i64| -> i64 {
        // In ten-thousandths, full if the node has none or it is overcommitted.
        if total <= 0 {
            10_000
        } else {
            ((i128::from(wanted) + i128::from(used)) * 10_000 / i128::from(total)).clamp(0, 10_000) as i64
        }
    };
    let cpu = share(cpu, state.nonzero.0, node.allocatable.cpu);
    let memory = share(memory, state.nonzero.1, node.allocatable.memory);
    let least = (20_000 - cpu - memory) / 200;
    let balanced = (10_000 - (cpu - memory).abs() / 2) / 100;
    least + balanced
}
