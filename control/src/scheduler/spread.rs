//! Topology spread constraints: those that nodes must meet (`DoNotSchedule`), and those that make one node better than
//! another (`ScheduleAnyway`).
//!
//! Source: `calPreFilterState` and `Score` of the PodTopologySpread plug-in of kube-scheduler.

use std::collections::{BTreeMap, HashMap};

use super::affinity::SpreadConstraint;
use super::filter::{Refusal, matches_node, untolerated};
use super::groups::Groups;
use super::pod::PodView;
use super::snapshot::NodeView;
use super::term::OwnSelector;

/// What one constraint finds.
#[derive(Debug)]
pub struct Spread<'a> {
    key: &'a str,
    max_skew: i64,
    counts: HashMap<&'a str, i64>,
    least: i64,
    /// The pod itself counts.
    own: i64,
}

impl Spread<'_> {
    /// Whether a pod more in the node's domain is not too many.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let Some(value) = labels.get(self.key) else {
            let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
            return Err(Refusal::new(reason, false));
        };
        let count = self.counts.get(value.as_str()).copied().unwrap_or(0);
        if count + self.own - self.least > self.max_skew {
            let reason = "node(s) didn't match pod topology spread constraints";
            return Err(Refusal::new(reason, true));
        }
        Ok(())
    }

    /// How crowded the node's domain is, in thousandths of a pod: among many domains a pod weighs more, and what the
    /// constraint tolerates is no difference. None without the label.
    fn crowd(&self, labels: &BTreeMap<String, String>) -> Option<i64> {
        let value = labels.get(self.key)?;
        let count = self.counts.get(value.as_str()).copied().unwrap_or(0);
        let weight = (self.counts.len() as f64 + 2.0).ln();
        Some((count as f64 * weight * 1000.0) as i64 + (self.max_skew - 1) * 1000)
    }
}

/// How crowded the node is by all of these constraints: the less, the better. None if it lacks the label of one.
pub fn crowd(constraints: &[Spread<'_>], labels: &BTreeMap<String, String>) -> Option<i64> {
    let crowds = constraints.iter().map(|constraint| constraint.crowd(labels));
    crowds.sum()
}

/// Counts for constraints of a pod: all that must be met, or all the others.
pub fn count<'a>(
    pod: &PodView,
    constraints: &[&'a SpreadConstraint],
    groups: &Groups<'a>,
) -> Vec<Spread<'a>> {
    if constraints.is_empty() {
        return Vec::new();
    }
    // A node that one constraint cannot place is none for the others either.
    let has_keys = |node: &NodeView| {
        let mut keys = constraints.iter().map(|constraint| &constraint.topology_key);
        keys.all(|key| node.meta.labels.contains_key(key))
    };
    let facts = groups.nodes.iter().map(|node| Facts {
        has_keys: has_keys(node),
        is_wanted: matches_node(pod, node),
        is_tolerated: untolerated(&node.taints, &pod.tolerations).is_none(),
    });
    let facts: Vec<Facts> = facts.collect();
    let one = |constraint: &&'a SpreadConstraint| one(pod, constraint, groups, &facts);
    constraints.iter().map(one).collect()
}

/// What constraints ask of a node.
struct Facts {
    /// It has the topology keys of all constraints.
    has_keys: bool,
    /// The pod's node selector and node affinity select it.
    is_wanted: bool,
    /// The pod tolerates its taints.
    is_tolerated: bool,
}

impl Facts {
    /// Whether the constraint looks at the node: `nodeAffinityPolicy` is Honor unless it says otherwise, and
    /// `nodeTaintsPolicy` Ignore.
    fn count_for(&self, constraint: &SpreadConstraint) -> bool {
        let wants = constraint.node_affinity_policy != "Ignore";
        let tolerates = constraint.node_taints_policy == "Honor";
        self.has_keys && (self.is_wanted || !wants) && (self.is_tolerated || !tolerates)
    }
}

fn one<'a>(
    pod: &PodView,
    constraint: &'a SpreadConstraint,
    groups: &Groups<'a>,
    facts: &[Facts],
) -> Spread<'a> {
    let keys = &constraint.match_label_keys;
    let selector = constraint.label_selector.as_ref();
    let selector = selector.map(|selector| OwnSelector::new(selector, keys, pod));
    let selects = |other: &PodView| {
        selector
            .as_ref()
            .is_some_and(|selector| selector.matches(&other.meta.labels))
    };
    // Upstream counts nothing for a selector that selects everything.
    let says = selector.as_ref().is_some_and(|selector| !selector.is_empty());
    let counted = |other: &PodView| {
        says && other.meta.namespace == pod.meta.namespace && other.meta.deleted.is_none() && selects(other)
    };
    let domain = |node: usize| {
        let counts = facts[node].count_for(constraint);
        let value = counts.then(|| groups.nodes[node].meta.labels.get(&constraint.topology_key));
        value.flatten().map(String::as_str)
    };
    let domains = (0..groups.nodes.len()).filter_map(domain);
    let mut counts: HashMap<&str, i64> = domains.map(|value| (value, 0)).collect();
    for group in groups.all.iter().filter(|group| counted(group.sample)) {
        for (node, pods) in &group.places {
            if let Some(value) = domain(*node) {
                *counts.entry(value).or_insert(0) += pods;
            }
        }
    }
    let too_few = constraint
        .min_domains
        .is_some_and(|wanted| (counts.len() as i64) < wanted);
    let least = counts.values().copied().min().filter(|_| !too_few).unwrap_or(0);
    Spread {
        key: &constraint.topology_key,
        max_skew: constraint.max_skew,
        counts,
        least,
        own: i64::from(selects(pod)),
    }
}
