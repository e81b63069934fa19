//! A set of paths, as a tree.

use std::collections::BTreeMap;

use super::element;
use crate::status::start;

/// Paths into an object. A path may be in the set without those below it, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    steps: BTreeMap<String, Node>,
}

/// What is known of one position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The position itself is in the set.
    pub(super) member: bool,
    /// Positions below it.
    pub(super) below: Set,
}

impl Node {
    /// Nothing here and below.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Set {
    /// No path.
    pub(super) const EMPTY: Self = Self {
        steps: BTreeMap::new(),
    };

    /// Whether no path is in it.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds what is known of a position, unless that is nothing.
    pub(super) fn put(&mut self, step: String, node: Node) {
        if node.is_empty() {
            return;
        }
        match self.steps.get_mut(&step) {
            None => drop(self.steps.insert(step, node)),
            Some(old) => {
                old.member |= node.member;
                old.below.extend(node.below);
            }
        }
    }

    /// The positions one step down, in order.
    pub(super) fn into_steps(self) -> impl Iterator<Item = (String, Node)> {
        self.steps.into_iter()
    }

    /// The positions one step down.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.steps.iter().map(|(step, node)| (step.as_str(), node))
    }

    /// The position behind one step.
    pub(super) fn get(&self, step: &str) -> Option<&Node> {
        self.steps.get(step)
    }

    /// Whether the path of fields is in the set.
    pub fn has_field(&self, path: &[&str]) -> bool {
        let Some((last, way)) = path.split_last() else {
            return false;
        };
        let mut set = self;
        for name in way {
            match set.get(&element::field(name)) {
                Some(node) => set = &node.below,
                None => return false,
            }
        }
        set.get(&element::field(last)).is_some_and(|node| node.member)
    }

    /// A set of one path of fields.
    pub fn of_field(path: &[&str]) -> Self {
        let mut set = Self::default();
        for (at, name) in path.iter().enumerate().rev() {
            let node = Node {
                member: at + 1 == path.len(),
                below: std::mem::take(&mut set),
            };
            set.put(element::field(name), node);
        }
        set
    }

    /// Adds all paths of another set.
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for (step, node) in other.steps {
            self.put(step, node);
        }
    }

    /// Removes the paths of another set; paths below them stay.
    pub fn subtract(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.steps.retain(|step, node| {
            if let Some(gone) = other.get(step) {
                node.member &= !gone.member;
                node.below.subtract(&gone.below);
            }
            !node.is_empty()
        });
    }

    /// The paths that both have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (step, node) in &self.steps {
            if let Some(theirs) = other.get(step) {
                let node = Node {
                    member: node.member && theirs.member,
                    below: node.below.intersection(&theirs.below),
                };
                if !node.is_empty() {
                    both.steps.insert(step.clone(), node);
                }
            }
        }
        both
    }

    /// Removes a path of fields with everything below.
    pub fn prune(&mut self, path: &[&str]) {
        match path {
            [] => self.steps.clear(),
            [last] => drop(self.steps.remove(&element::field(last))),
            [first, rest @ ..] => {
                let step = element::field(first);
                if let Some(node) = self.steps.get_mut(&step) {
                    node.below.prune(rest);
                    if node.is_empty() {
                        self.steps.remove(&step);
                    }
                }
            }
        }
    }

    /// The first paths, `most` of them, as error messages show them.
    pub fn paths(&self, most: usize) -> Vec<String> {
        let mut paths = Vec::new();
        self.list(&mut String::new(), most, &mut paths);
        paths
    }

    fn list(&self, path: &mut String, most: usize, out: &mut Vec<String>) {
        for (step, node) in &self.steps {
            if out.len() >= most {
                return;
            }
            let length = path.len();
            element::display(path, step);
            if node.member {
                out.push(start(path).into_owned());
            }
            node.below.list(path, most, out);
            path.truncate(length);
        }
        out.truncate(most);
    }
}
