//! A pod term as its owner means it.

use std::collections::BTreeMap;

use super::affinity::PodTerm;
use super::pod::PodView;
use super::snapshot::Snapshot;
use crate::controllers::model::Selector;

/// A label selector with the owner's values of the named labels added to it.
#[derive(Debug)]
pub struct OwnSelector<'a> {
    selector: &'a Selector,
    own: Vec<(&'a String, &'a String)>,
}

impl<'a> OwnSelector<'a> {
    /// `keys` are `matchLabelKeys`; those that the owner does not have add nothing.
    pub fn new(selector: &'a Selector, keys: &'a [String], owner: &'a PodView) -> Self {
        let labels = &owner.meta.labels;
        let own = keys.iter().filter_map(|key| labels.get_key_value(key));
        Self {
            selector,
            own: own.collect(),
        }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
            && self.selector.match_labels.is_empty()
            && self.selector.match_expressions.is_empty()
    }

    /// Whether the labels satisfy it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.own
            .iter()
            .all(|(key, value)| labels.get(*key) == Some(value))
            && self.selector.matches(labels)
    }
}

/// A term of an owner, to be held against pods.
#[derive(Debug)]
pub struct Meaning<'a> {
    term: &'a PodTerm,
    owner: &'a PodView,
}

impl<'a> Meaning<'a> {
    /// What the owner means by the term. Its `matchLabelKeys` are in the selector since the pod was made.
    pub fn new(term: &'a PodTerm, owner: &'a PodView) -> Self {
        Self { term, owner }
    }

    /// Whether it is about the candidate.
    pub fn matches(&self, candidate: &PodView, snapshot: &Snapshot) -> bool {
        let Some(selector) = &self.term.label_selector else {
            return false;
        };
        self.is_in(&candidate.meta.namespace, snapshot) && selector.matches(&candidate.meta.labels)
    }

    fn is_in(&self, namespace: &String, snapshot: &Snapshot) -> bool {
        let term = self.term;
        if term.namespaces.is_empty() && term.namespace_selector.is_none() {
            return *namespace == self.owner.meta.namespace;
        }
        let by_selector = |selector: &Selector| match snapshot.namespaces.get(namespace) {
            Some(labels) => selector.matches(labels),
            None => selector.matches(&BTreeMap::new()),
        };
        term.namespaces.contains(namespace) || term.namespace_selector.as_ref().is_some_and(by_selector)
    }
}
