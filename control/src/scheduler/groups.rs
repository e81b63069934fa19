//! Placed pods in groups that no pod term can tell apart: pods of one workload are looked at once per term, not one by one.

use std::collections::{BTreeMap, HashMap};
use std::ptr;

use super::pod::PodView;
use super::snapshot::{NodeView, Snapshot};

/// The pods of all nodes, in groups.
#[derive(Debug, Default)]
pub struct Groups<'a> {
    /// All nodes that exist.
    pub nodes: Vec<&'a NodeView>,
    /// The groups.
    pub all: Vec<Group<'a>>,
}

/// Pods of one namespace with the same labels.
#[derive(Debug)]
pub struct Group<'a> {
    /// One of them. The others are being deleted if this one is.
    pub sample: &'a PodView,
    /// How many of them are on which node, by its place in [`Groups::nodes`].
    pub places: Vec<(usize, i64)>,
}

/// Which of the groups, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chosen(Vec<u64>);

impl<'a> Groups<'a> {
    /// Looks at every pod once. Equal labels that are not kept as one ([`crate::controllers::model::Shared`]) make groups of
    /// their own: that costs time only.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut groups = Self::default();
        let mut known: HashMap<(&str, *const BTreeMap<String, String>, bool), usize> = HashMap::new();
        for (index, (state, node)) in snapshot.nodes().enumerate() {
            groups.nodes.push(node);
            for pod in state.pods.values() {
                let meta = &pod.meta;
                let labels = ptr::from_ref(&*meta.labels);
                let key = (meta.namespace.as_str(), labels, meta.deleted.is_some());
                let group = *known.entry(key).or_insert_with(|| {
                    groups.all.push(Group {
                        sample: pod,
                        places: Vec::new(),
                    });
                    groups.all.len() - 1
                });
                let places = &mut groups.all[group].places;
                match places.last_mut() {
                    Some((last, count)) if *last == index => *count += 1,
                    _ => places.push((index, 1)),
                }
            }
        }
        groups
    }

    /// The groups that are so.
    pub fn choose(&self, is_so: impl Fn(&PodView) -> bool) -> Chosen {
        let mut bits = vec![0; self.all.len().div_ceil(64)];
        for (index, group) in self.all.iter().enumerate() {
            bits[index / 64] |= u64::from(is_so(group.sample)) << (index % 64);
        }
        Chosen(bits)
    }

    /// How many pods of the groups there are in each domain: values that this label of nodes has.
    pub fn count(&self, chosen: &Chosen, key: &str) -> HashMap<&'a str, i64> {
        let is_chosen = |index: usize| (chosen.0[index / 64] >> (index % 64)) & 1 == 1;
        let mut counts = HashMap::new();
        if !self.nodes.iter().any(|node| node.meta.labels.contains_key(key)) {
            return counts;
        }
        for (_, group) in self.all.iter().enumerate().filter(|(index, _)| is_chosen(*index)) {
            for (node, pods) in &group.places {
                if let Some(value) = self.nodes[*node].meta.labels.get(key) {
                    *counts.entry(value.as_str()).or_insert(0) += pods;
                }
            }
        }
        counts
    }
}
