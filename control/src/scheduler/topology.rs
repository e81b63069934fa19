//! What looks at other pods: pod affinity and anti-affinity, required and preferred, and topology spread
//! ([`super::spread`]).
//!
//! What they need is counted once per pod over the whole snapshot; a node is then checked by looking up its domains. Terms
//! that mean the same pods are one: counting costs what there is to tell apart, not terms times nodes times pods.
//! Source: the InterPodAffinity plug-in of kube-scheduler.

use std::collections::{HashMap, HashSet};

use super::affinity::{PodTerm, PreferredPod, SpreadConstraint};
use super::filter::Refusal;
use super::groups::{Chosen, Groups};
use super::pod::PodView;
use super::snapshot::{NodeView, Snapshot};
use super::spread::{self, Spread};
use super::term::Meaning;

/// Domains of nodes, by topology key and value.
type Domains<'a> = HashMap<&'a str, HashSet<&'a str>>;

/// Counts for one pod.
#[derive(Debug, Default)]
pub struct Topology<'a> {
    /// Per topology key of required affinity: the domains with a pod that all terms mean.
    affinity: Domains<'a>,
    /// There is no such pod, but the pod itself would be one: it may be the first of its group.
    first_of_group: bool,
    /// Domains to avoid.
    anti_affinity: Domains<'a>,
    /// Domains that pods there keep this pod away from.
    kept_away: Domains<'a>,
    /// Per hard spread constraint.
    spread: Vec<Spread<'a>>,
    /// Per soft spread constraint.
    soft_spread: Vec<Spread<'a>>,
    /// Weight of what preferred terms find in a domain, less what they would avoid there.
    preferred: HashMap<&'a str, HashMap<&'a str, i64>>,
}

impl<'a> Topology<'a> {
    /// Counts; nothing if neither the pod nor any placed pod has such rules.
    pub fn new(pod: &'a PodView, snapshot: &'a Snapshot) -> Self {
        let mut topology = Self::default();
        if snapshot.has_repelling_pods() {
            topology.kept_away = kept_away(pod, snapshot);
        }
        let (towards, away) = (&pod.affinity.pod_affinity, &pod.affinity.pod_anti_affinity);
        let is_hard = |constraint: &&SpreadConstraint| constraint.when_unsatisfiable == "DoNotSchedule";
        let (hard, soft): (Vec<_>, Vec<_>) = pod.spread.iter().partition(is_hard);
        let terms = [&towards.required, &away.required].map(Vec::len);
        let preferences = [&towards.preferred, &away.preferred].map(Vec::len);
        if terms.iter().chain(&preferences).sum::<usize>() + pod.spread.len() == 0 {
            return topology;
        }
        let groups = Groups::new(snapshot);
        topology.require(pod, &groups, snapshot);
        let avoided = away.required.iter().map(|term| (term, 1));
        for (key, chosen) in meant(avoided, pod, &groups, snapshot).into_keys() {
            let found = groups.count(&chosen, key);
            if !found.is_empty() {
                let domains = topology.anti_affinity.entry(key).or_default();
                domains.extend(found.into_keys());
            }
        }
        let preferred = |sign: i64| move |p: &'a PreferredPod| (&p.pod_affinity_term, sign * p.weight);
        let weighted = towards.preferred.iter().map(preferred(1));
        let weighted = weighted.chain(away.preferred.iter().map(preferred(-1)));
        for ((key, chosen), weight) in meant(weighted, pod, &groups, snapshot) {
            for (domain, count) in groups.count(&chosen, key) {
                let domains = topology.preferred.entry(key).or_default();
                *domains.entry(domain).or_insert(0) += weight * count;
            }
        }
        topology.spread = spread::count(pod, &hard, &groups);
        topology.soft_spread = spread::count(pod, &soft, &groups);
        topology
    }

    /// Required affinity is to pods that every term means: each must have one of these in its domain.
    fn require(&mut self, pod: &'a PodView, groups: &Groups<'a>, snapshot: &Snapshot) {
        let required = &pod.affinity.pod_affinity.required;
        if required.is_empty() {
            return;
        }
        let terms: Vec<_> = required.iter().map(|term| Meaning::new(term, pod)).collect();
        let all_mean = |other: &PodView| terms.iter().all(|term| term.matches(other, snapshot));
        let chosen = groups.choose(all_mean);
        for term in required {
            let key = term.topology_key.as_str();
            let domains = self.affinity.entry(key);
            domains.or_insert_with(|| groups.count(&chosen, key).into_keys().collect());
        }
        self.first_of_group = self.affinity.values().all(HashSet::is_empty) && all_mean(pod);
    }

    /// What preferred terms find around the node.
    pub fn preference(&self, node: &NodeView) -> i64 {
        if self.preferred.is_empty() {
            return 0;
        }
        let labels = node.meta.labels.iter();
        let found = labels.filter_map(|(key, value)| self.preferred.get(key.as_str())?.get(value.as_str()));
        found.sum()
    }

    /// How crowded the node is, as the pod's soft spread constraints see it ([`spread::crowd`]).
    pub fn crowd(&self, node: &NodeView) -> Option<i64> {
        spread::crowd(&self.soft_spread, &node.meta.labels)
    }

    /// Whether the node is right.
    pub fn filter(&self, node: &NodeView) -> Result<(), Refusal> {
        let labels = &node.meta.labels;
        for spread in &self.spread {
            spread.allows(labels)?;
        }
        let met = |(key, domains): (&&str, &HashSet<&str>)| {
            let value = labels.get(*key);
            value.is_some_and(|value| domains.contains(value.as_str()))
        };
        let has_keys = || self.affinity.keys().all(|key| labels.contains_key(*key));
        if !(self.affinity.iter().all(met) || self.first_of_group && has_keys()) {
            return Err(Refusal::new("node(s) didn't match pod affinity rules", false));
        }
        let is_in = |domains: &Domains<'_>| {
            let has = |(key, value): (&String, &String)| {
                let values = domains.get(key.as_str());
                values.is_some_and(|values| values.contains(value.as_str()))
            };
            !domains.is_empty() && labels.iter().any(has)
        };
        if is_in(&self.anti_affinity) {
            return Err(Refusal::new("node(s) didn't match pod anti-affinity rules", true));
        }
        if is_in(&self.kept_away) {
            return Err(Refusal::new(
                "node(s) didn't satisfy existing pods anti-affinity rules",
                true,
            ));
        }
        Ok(())
    }
}

/// The pods that terms mean in the domains of their topology key, and the weight of the terms that mean the same.
fn meant<'a>(
    terms: impl Iterator<Item = (&'a PodTerm, i64)>,
    owner: &'a PodView,
    groups: &Groups<'_>,
    snapshot: &Snapshot,
) -> HashMap<(&'a str, Chosen), i64> {
    let mut found = HashMap::new();
    for (term, weight) in terms {
        let meaning = Meaning::new(term, owner);
        let chosen = groups.choose(|other| meaning.matches(other, snapshot));
        *found.entry((term.topology_key.as_str(), chosen)).or_insert(0) += weight;
    }
    found
}

fn kept_away<'a>(pod: &PodView, snapshot: &'a Snapshot) -> Domains<'a> {
    let mut found = Domains::new();
    for (state, node) in snapshot.nodes() {
        for other in state.pods.values() {
            for term in &other.affinity.pod_anti_affinity.required {
                if let Some(value) = node.meta.labels.get(&term.topology_key)
                    && Meaning::new(term, other).matches(pod, snapshot)
                {
                    found.entry(&term.topology_key).or_default().insert(value);
                }
            }
        }
    }
    found
}
