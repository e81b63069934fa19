//! All objects by UID, and who depends on whom.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::controllers::api::Resource;
use crate::controllers::model::{Meta, OwnerReference, Shared};

/// Finalizer of a foreground deletion: the owner waits for its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an orphaning deletion: the dependents lose the owner first.
pub const ORPHAN: &str = "orphan";

/// An object in the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its resource.
    pub resource: Arc<Resource>,
    /// Namespace or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Owners.
    pub owners: Shared<Vec<OwnerReference>>,
    /// Is being deleted.
    pub deleting: bool,
    /// Is being deleted and waits for its dependents.
    pub foreground: bool,
    /// Is being deleted and its dependents are to stay.
    pub orphaning: bool,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// An object that may have to go, or whose foreground deletion may go on.
    Object(String),
    /// An owner that was never seen: it may not exist. Named by one of its dependents.
    Owner(OwnerReference, String),
    /// An object whose dependents have to be released.
    Orphan(String),
}

/// The graph.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: HashMap<String, Node>,
    /// Owner UID to dependents' UIDs.
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    /// An object, if it is known.
    pub fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Its dependents.
    pub fn dependents<'a>(&'a self, uid: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| Some((uid, self.nodes.get(uid)?)))
    }

    /// Dependents that a foreground deletion waits for.
    pub fn blocking<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (&'a String, &'a Node)> {
        self.dependents(uid).filter(move |(_, node)| {
            node.owners
                .iter()
                .any(|owner| owner.uid == uid && owner.block_owner_deletion)
        })
    }

    /// Owners that no watch has shown, each named by one of its dependents.
    pub fn unseen(&self) -> Vec<Item> {
        let mut found: HashMap<&str, (&String, &OwnerReference)> = HashMap::new();
        for (uid, node) in &self.nodes {
            let unseen = node
                .owners
                .iter()
                .filter(|owner| !self.nodes.contains_key(&owner.uid));
            for owner in unseen {
                let named = found.entry(&owner.uid).or_insert((uid, owner));
                // Always the same one, so that it is looked for once.
                if uid < named.0 {
                    *named = (uid, owner);
                }
            }
        }
        let found = found.into_values();
        found
            .map(|(uid, owner)| Item::Owner(owner.clone(), uid.clone()))
            .collect()
    }

    /// An object was added or has changed. Returns what to look at.
    pub fn observe(&mut self, resource: &Arc<Resource>, meta: &Meta) -> Vec<Item> {
        let has = |finalizer: &str| meta.finalizers.iter().any(|have| have == finalizer);
        let deleting = meta.deleted.is_some();
        let node = Node {
            resource: resource.clone(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            owners: meta.owners.clone(),
            deleting,
            foreground: deleting && has(FOREGROUND),
            orphaning: deleting && has(ORPHAN),
        };
        let uid = &meta.uid;
        let mut items = Vec::new();
        if node.orphaning {
            items.push(Item::Orphan(uid.clone()));
        } else if node.foreground {
            items.push(Item::Object(uid.clone()));
        }
        let old = self.nodes.insert(uid.clone(), node);
        let before = old.map(|old| old.owners).unwrap_or_default();
        if before != meta.owners {
            self.relink(uid, &before, &meta.owners, &mut items);
        }
        items
    }

    /// An object is gone. Returns what to look at.
    pub fn remove(&mut self, uid: &str) -> Vec<Item> {
        let mut items: Vec<_> = self
            .dependents(uid)
            .map(|(uid, _)| Item::Object(uid.clone()))
            .collect();
        if let Some(node) = self.nodes.remove(uid) {
            for owner in node.owners.iter() {
                self.unlink(&owner.uid, uid);
                if self.nodes.get(&owner.uid).is_some_and(|owner| owner.foreground) {
                    items.push(Item::Object(owner.uid.clone()));
                }
            }
        }
        items
    }

    /// Follows a change of owners. There may be very many of them, and the whole graph waits.
    fn relink(
        &mut self,
        uid: &str,
        before: &[OwnerReference],
        now: &[OwnerReference],
        items: &mut Vec<Item>,
    ) {
        let stay: HashSet<&str> = now.iter().map(|owner| owner.uid.as_str()).collect();
        for gone in before.iter().filter(|owner| !stay.contains(owner.uid.as_str())) {
            self.unlink(&gone.uid, uid);
            // It may have been what a foreground deletion waited for.
            if self.nodes.get(&gone.uid).is_some_and(|owner| owner.foreground) {
                items.push(Item::Object(gone.uid.clone()));
            }
        }
        let known: HashSet<&OwnerReference> = before.iter().collect();
        for owner in now.iter().filter(|owner| !known.contains(owner)) {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(uid.to_owned());
            match self.nodes.get(&owner.uid) {
                None => items.push(Item::Owner(owner.clone(), uid.to_owned())),
                // No longer blocking, or a new dependent of one that is going.
                Some(node) if node.foreground => items.push(Item::Object(owner.uid.clone())),
                Some(_) => {}
            }
        }
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(set) = self.dependents.get_mut(owner) {
            set.remove(dependent);
            if set.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}
