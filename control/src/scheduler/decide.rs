//! The decision: a node for a pod, or all the reasons why there is none.
//!
//! Not done: preemption. The message says which nodes it could help on, as upstream's does, but no victims are looked
//! for: a pod of higher priority goes first in the queue and waits for room. Volumes do not restrict nodes either.

use std::collections::BTreeMap;

use super::filter::{self, Refusal};
use super::pod::PodView;
use super::score;
use super::snapshot::Snapshot;
use super::topology::Topology;

/// Why no node would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reasons {
    /// How many nodes there are.
    pub nodes: usize,
    /// Reason to the number of nodes that gave it.
    pub counts: BTreeMap<String, usize>,
    /// Nodes where taking pods away could help.
    pub resolvable: usize,
    /// The pod may not preempt.
    pub never_preempts: bool,
}

impl Reasons {
    /// Upstream's message.
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let list = |counts: &mut dyn Iterator<Item = (usize, String)>| {
            // Upstream sorts the finished strings, the counts in front of them included.
            let mut parts: Vec<_> = counts
                .map(|(count, reason)| format!("{count} {reason}"))
                .collect();
            parts.sort();
            format!("0/{} nodes are available: {}.", self.nodes, parts.join(", "))
        };
        let why = list(&mut self.counts.iter().map(|(reason, count)| (*count, reason.clone())));
        if self.never_preempts {
            return format!("{why} preemption: not eligible due to preemptionPolicy=Never.");
        }
        let hopeless = self.nodes - self.resolvable;
        let preemption = [
            (self.resolvable, "No preemption victims found for incoming pod"),
            (hopeless, "Preemption is not helpful for scheduling"),
        ];
        let preemption = preemption.into_iter().filter(|(count, _)| *count > 0);
        format!(
            "{why} preemption: {}",
            list(&mut preemption.map(|(count, reason)| (count, reason.to_owned())))
        )
    }
}

/// How many nodes that would do are enough to choose among (upstream `numFeasibleNodesToFind`): all of up to 100,
/// then a share that shrinks from half to a twentieth.
fn enough(nodes: usize) -> usize {
    if nodes <= 100 {
        return nodes;
    }
    let percent = 50usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(100)
}

/// Chooses a node. `start` is the slot to begin with, so that successive calls look at different nodes first.
pub fn schedule(pod: &PodView, snapshot: &Snapshot, start: usize) -> Result<String, Reasons> {
    let topology = Topology::new(pod, snapshot);
    let slots = snapshot.slots();
    let limit = enough(slots);
    let mut candidates = Vec::new();
    let mut refusals: Vec<Refusal> = Vec::new();
    for offset in 0..slots {
        let slot = (start + offset) % slots;
        let Some((state, node)) = snapshot.slot(slot) else {
            continue;
        };
        match filter::filter(pod, state, node).and_then(|()| topology.filter(node)) {
            Ok(()) => candidates.push(score::assess(pod, slot, state, node, &topology)),
            Err(refusal) => refusals.push(refusal),
        }
        if candidates.len() >= limit {
            break;
        }
    }
    let chosen = score::best(&candidates).and_then(|slot| snapshot.slot(slot));
    chosen
        .map(|(_, node)| node.meta.name.clone())
        .ok_or_else(|| summarize(pod, &refusals))
}

fn summarize(pod: &PodView, refusals: &[Refusal]) -> Reasons {
    let mut reasons = Reasons {
        nodes: refusals.len(),
        never_preempts: *pod.preemption_policy == "Never",
        ..Reasons::default()
    };
    for refusal in refusals {
        reasons.resolvable += usize::from(refusal.resolvable);
        for reason in &refusal.reasons {
            *reasons.counts.entry(reason.clone()).or_insert(0) += 1;
        }
    }
    reasons
}
