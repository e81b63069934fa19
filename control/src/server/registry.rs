//! The kinds by the names that paths use.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use crate::kinds::{self, Kind};
use crate::object::GroupResource;

/// A kind: one of the table's, or one that a definition made.
#[derive(Debug, Clone)]
pub enum KindRef {
    /// Of the table.
    Builtin(&'static Kind),
    /// Of a definition.
    Custom(Arc<Kind>),
}

impl Deref for KindRef {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        match self {
            Self::Builtin(kind) => kind,
            Self::Custom(kind) => kind,
        }
    }
}

/// A kind and where its objects are stored.
#[derive(Debug, Clone)]
pub struct Served {
    /// The descriptor.
    pub kind: KindRef,
    /// Group and resource under which its objects are stored.
    pub storage: Arc<GroupResource>,
}

/// All served kinds. It never changes: when a definition does, another one takes its place.
#[derive(Debug)]
pub struct Registry {
    by_path: HashMap<(String, String, String), Served>,
    order: Vec<Served>,
}

impl Registry {
    /// The built-in kinds.
    pub fn builtin() -> Self {
        Self::with(Vec::new())
    }

    /// The built-in kinds and these custom ones. Kinds that are not served are left out.
    pub fn with(custom: impl IntoIterator<Item = Served>) -> Self {
        let mut storages: BTreeMap<(String, String), Arc<GroupResource>> = BTreeMap::new();
        let mut order = Vec::new();
        for kind in kinds::builtin() {
            let (group, resource) = kind
                .storage
                .as_ref()
                .map_or((&kind.group, &kind.plural), |(group, resource)| (group, resource));
            let storage = storages
                .entry((group.to_string(), resource.to_string()))
                .or_insert_with(|| Arc::new(GroupResource::new(group, resource)));
            order.push(Served {
                kind: KindRef::Builtin(kind),
                storage: Arc::clone(storage),
            });
        }
        let mut custom: Vec<Served> = custom
            .into_iter()
            .filter(|served| kinds::custom::is_served(&served.kind))
            .collect();
        custom.sort_by(|a, b| {
            let by_version = || kinds::custom::compare_versions(&a.kind.version, &b.kind.version);
            let by_group = a.kind.group.cmp(&b.kind.group);
            by_group
                .then_with(by_version)
                .then_with(|| a.kind.plural.cmp(&b.kind.plural))
        });
        order.extend(custom);
        let mut by_path = HashMap::new();
        for served in &order {
            let kind = &served.kind;
            let path = (
                kind.group.to_string(),
                kind.version.to_string(),
                kind.plural.to_string(),
            );
            // Nothing takes the place of a built-in kind.
            by_path.entry(path).or_insert_with(|| served.clone());
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
    pub fn groups(&self) -> Vec<(&str, Vec<&str>)> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for served in &self.order {
            let (group, version): (&str, &str) = (&served.kind.group, &served.kind.version);
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
