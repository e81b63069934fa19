//! The kinds by the names that paths use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kinds::{self, Kind};
use crate::object::GroupResource;

/// A kind and where its objects are stored.
#[derive(Debug, Clone)]
pub struct Served {
    /// The descriptor.
    pub kind: &'static Kind,
    /// Group and resource under which its objects are stored.
    pub storage: Arc<GroupResource>,
}

/// All served kinds.
#[derive(Debug)]
pub struct Registry {
    by_path: HashMap<(String, String, String), Served>,
    order: Vec<Served>,
}

impl Registry {
    /// The built-in kinds.
    pub fn builtin() -> Self {
        Self::new(kinds::builtin())
    }

    /// These kinds.
    pub fn new(kinds: &'static [Kind]) -> Self {
        let mut storages: BTreeMap<(String, String), Arc<GroupResource>> = BTreeMap::new();
        let mut by_path = HashMap::new();
        let mut order = Vec::new();
        for kind in kinds {
            let (group, resource) = kind
                .storage
                .as_ref()
                .map_or((&kind.group, &kind.plural), |(group, resource)| (group, resource));
            let storage = storages
                .entry((group.to_string(), resource.to_string()))
                .or_insert_with(|| Arc::new(GroupResource::new(group, resource)));
            let served = Served {
                kind,
                storage: Arc::clone(storage),
            };
            let path = (
                kind.group.to_string(),
                kind.version.to_string(),
                kind.plural.to_string(),
            );
            by_path.insert(path, served.clone());
            order.push(served);
        }
        Self { by_path, order }
    }

    /// The kind of a path.
    pub fn find(&self, group: &str, version: &str, resource: &str) -> Option<&Served> {
        self.by_path
            .get(&(group.to_owned(), version.to_owned(), resource.to_owned()))
    }

    /// The kind of that group and kind name, in its preferred version.
    pub fn find_kind(&self, group: &str, kind: &str) -> Option<&Served> {
        self.order
            .iter()
            .find(|served| served.kind.group == group && served.kind.kind == kind)
    }

    /// All kinds in the table's order: preferred versions first.
    pub fn all(&self) -> &[Served] {
        &self.order
    }

    /// Groups in the table's order, each with its versions, preferred first. The core group is first.
    pub fn groups(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for served in &self.order {
            let (group, version): (&'static str, &'static str) = (&served.kind.group, &served.kind.version);
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, versions)) if versions.contains(&version) => {}
                Some((_, versions)) => versions.push(version),
                None => groups.push((group, vec![version])),
            }
        }
        groups.sort_by_key(|(group, _)| !group.is_empty());
        groups
    }
}

/// `v1` or `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
