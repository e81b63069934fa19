//! Checks that look at other pods: required pod affinity and anti-affinity, and topology spread.
//!
//! What they need is counted once per pod over the whole snapshot; a node is then checked by looking up its domains.
//! Source: the InterPodAffinity and PodTopologySpread plug-ins of kube-scheduler.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::affinity::{PodTerm, SpreadConstraint};
use super::filter::{Refusal, matches_node};
use super::pod::PodView;
use super::snapshot::{NodeView, Snapshot};
use crate::controllers::model::{Requirement, Selector};

/// Counts for one pod.
#[derive(Debug, Default)]
pub struct Topology {
    /// Per required affinity term: topology key, and domains with a matching pod.
    affinity: Vec<(String, HashSet<String>)>,
    /// No pod matches any term, but the pod itself does: it may be the first of its group.
    first_of_group: bool,
    /// Per required anti-affinity term: topology key, and domains to avoid.
    anti_affinity: Vec<(String, HashSet<String>)>,
    /// Domains that pods there keep this pod away from, as (topology key, value).
    kept_away: HashSet<(String, String)>,
    /// Per hard spread constraint.
    spread: Vec<Spread>,
}

#[derive(Debug)]
struct Spread {
    key: String,
    max_skew: i64,
    counts: HashMap<String, i64>,
    least: i64,
    /// The pod itself counts.
    own: i64,
}

impl Topology {
    /// Counts; nothing if neither the pod nor any placed pod has such rules.
    pub fn new(pod: &PodView, snapshot: &Snapshot) -> Self {
        let mut topology = Self::default();
        let required = &pod.affinity.pod_affinity.required;
        if !required.is_empty() {
            topology.affinity = domains(pod, required, snapshot);
            topology.first_of_group = topology.affinity.iter().all(|(_, domains)| domains.is_empty())
                && required.iter().all(|term| matches(term, pod, pod, snapshot));
        }
        let avoided = &pod.affinity.pod_anti_affinity.required;
        if !avoided.is_empty() {
            topology.anti_affinity = domains(pod, avoided, snapshot);
        }
        if snapshot.has_repelling_pods() {
            topology.kept_away = kept_away(pod, snapshot);
        }
        let hard = pod
            .spread
            .iter()
            .filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule");
        topology.spread = hard
            .map(|constraint| count_spread(pod, constraint, snapshot))
            .collect();
        topology
    }

    /// Whether the node is right.
    pub fn filter(&self, node: &NodeView) -> Result<(), Refusal> {
        let labels = &node.meta.labels;
        for spread in &self.spread {
            let Some(value) = labels.get(&spread.key) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Err(Refusal::new(reason, false));
            };
            let count = spread.counts.get(value).copied().unwrap_or(0);
            if count + spread.own - spread.least > spread.max_skew {
                return Err(Refusal::new(
                    "node(s) didn't match pod topology spread constraints",
                    true,
                ));
            }
        }
        let in_domain = |(key, domains): &(String, HashSet<String>)| {
            labels.get(key).is_some_and(|value| domains.contains(value))
        };
        let has_keys = self.affinity.iter().all(|(key, _)| labels.contains_key(key));
        if !(self.affinity.iter().all(in_domain) || self.first_of_group && has_keys) {
            return Err(Refusal::new("node(s) didn't match pod affinity rules", false));
        }
        if self.anti_affinity.iter().any(in_domain) {
            return Err(Refusal::new("node(s) didn't match pod anti-affinity rules", true));
        }
        let repelled =
            |(key, value): (&String, &String)| self.kept_away.contains(&(key.clone(), value.clone()));
        if !self.kept_away.is_empty() && labels.iter().any(repelled) {
            return Err(Refusal::new(
                "node(s) didn't satisfy existing pods anti-affinity rules",
                true,
            ));
        }
        Ok(())
    }
}

fn domains(pod: &PodView, terms: &[PodTerm], snapshot: &Snapshot) -> Vec<(String, HashSet<String>)> {
    let domain = |term: &PodTerm| {
        let mut found = HashSet::new();
        for (state, node) in snapshot.nodes() {
            if let Some(value) = node.meta.labels.get(&term.topology_key)
                && !found.contains(value)
                && state
                    .pods
                    .values()
                    .any(|other| matches(term, pod, other, snapshot))
            {
                found.insert(value.clone());
            }
        }
        (term.topology_key.clone(), found)
    };
    terms.iter().map(domain).collect()
}

fn kept_away(pod: &PodView, snapshot: &Snapshot) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    for (state, node) in snapshot.nodes() {
        for other in state.pods.values() {
            for term in &other.affinity.pod_anti_affinity.required {
                if let Some(value) = node.meta.labels.get(&term.topology_key)
                    && matches(term, other, pod, snapshot)
                {
                    found.insert((term.topology_key.clone(), value.clone()));
                }
            }
        }
    }
    found
}

/// Whether `candidate` is meant by a term of `owner`.
pub fn matches(term: &PodTerm, owner: &PodView, candidate: &PodView, snapshot: &Snapshot) -> bool {
    let Some(selector) = &term.label_selector else {
        return false;
    };
    let namespace = &candidate.meta.namespace;
    let by_selector = |selector: &Selector| {
        let none = BTreeMap::new();
        selector.matches(snapshot.namespaces.get(namespace).unwrap_or(&none))
    };
    let named = if term.namespaces.is_empty() && term.namespace_selector.is_none() {
        *namespace == owner.meta.namespace
    } else {
        term.namespaces.contains(namespace) || term.namespace_selector.as_ref().is_some_and(by_selector)
    };
    named && with_keys(selector, &term.match_label_keys, owner).matches(&candidate.meta.labels)
}

/// The selector plus the owner's values of the named labels.
fn with_keys(selector: &Selector, keys: &[String], owner: &PodView) -> Selector {
    let mut selector = selector.clone();
    for key in keys {
        if let Some(value) = owner.meta.labels.get(key) {
            selector.match_expressions.push(Requirement {
                key: key.clone(),
                operator: "In".to_owned(),
                values: vec![value.clone()],
            });
        }
    }
    selector
}

fn count_spread(pod: &PodView, constraint: &SpreadConstraint, snapshot: &Snapshot) -> Spread {
    let selector = constraint
        .label_selector
        .as_ref()
        .map(|s| with_keys(s, &constraint.match_label_keys, pod));
    let counted = |other: &PodView| {
        other.meta.namespace == pod.meta.namespace
            && other.meta.deleted.is_none()
            && selector
                .as_ref()
                .is_some_and(|selector| selector.matches(&other.meta.labels))
    };
    let mut counts: HashMap<String, i64> = HashMap::new();
    for (state, node) in snapshot.nodes() {
        let Some(value) = node.meta.labels.get(&constraint.topology_key) else {
            continue;
        };
        // nodeAffinityPolicy Honor is the default: other nodes are no alternative.
        if matches_node(pod, node) {
            let here = state.pods.values().filter(|other| counted(other)).count() as i64;
            *counts.entry(value.clone()).or_insert(0) += here;
        }
    }
    let too_few = constraint
        .min_domains
        .is_some_and(|wanted| (counts.len() as i64) < wanted);
    let least = if too_few {
        0
    } else {
        counts.values().copied().min().unwrap_or(0)
    };
    Spread {
        key: constraint.topology_key.clone(),
        max_skew: constraint.max_skew,
        counts,
        least,
        own: i64::from(counted(pod)),
    }
}
