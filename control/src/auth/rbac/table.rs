//! Roles and bindings compiled for fast decisions: subject to grants, role to rules.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use keelson_api::selector::Selector;
use serde::Deserialize;

use super::rule::Rule;
use crate::auth::UserInfo;
use crate::auth::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES};
use crate::auth::service_account::user_name;
use crate::object::{Object, Reader};

/// The versions of the four resources that a table was made from.
pub type Versions = [u64; 4];

/// The current versions.
pub fn versions(reader: &dyn Reader) -> Versions {
    [&*CLUSTER_ROLES, &*CLUSTER_ROLE_BINDINGS, &*ROLES, &*ROLE_BINDINGS]
        .map(|resource| reader.version(resource))
}

/// A binding as seen from one of its subjects.
#[derive(Debug)]
pub struct Grant {
    /// Namespace of a RoleBinding, empty for a ClusterRoleBinding.
    pub namespace: String,
    /// Name of the binding.
    pub binding: String,
    /// `ClusterRole` or `Role`.
    pub role_kind: String,
    /// Its name.
    pub role: String,
    /// How upstream's messages write the subject: `User "x"`.
    pub subject: String,
    /// What the role allows; `None` if there is no such role.
    pub rules: Option<Arc<[Rule]>>,
}

#[derive(Debug, Default)]
struct Subjects {
    users: HashMap<String, Vec<Arc<Grant>>>,
    groups: HashMap<String, Vec<Arc<Grant>>>,
}

/// The compiled roles and bindings of the cluster.
#[derive(Debug, Default)]
pub struct Table {
    /// What it was made from.
    pub versions: Versions,
    cluster: Subjects,
    namespaces: HashMap<String, Subjects>,
    cluster_roles: HashMap<String, Arc<[Rule]>>,
    roles: HashMap<(String, String), Arc<[Rule]>>,
    read: Read,
}

/// What was read of the objects, for the next table: a change of one is no reason to read megabytes of others again.
#[derive(Debug, Default)]
struct Read {
    cluster_roles: Known<ClusterRole>,
    roles: Known<Arc<[Rule]>>,
    bindings: Known<Binding>,
}

/// What was read of each object, by where it is kept.
#[derive(Debug)]
struct Known<T>(HashMap<usize, (Arc<Object>, Arc<T>)>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Known<T> {
    /// What was read of an object, `before` or now.
    fn read(&mut self, before: &Self, object: &Arc<Object>, read: impl FnOnce(&Object) -> T) -> Arc<T> {
        // Objects do not change, and the place of one that is held is no other's.
        let place = Arc::as_ptr(object).addr();
        let known = match before.0.get(&place) {
            Some((_, known)) => Arc::clone(known),
            None => Arc::new(read(object)),
        };
        self.0.insert(place, (Arc::clone(object), Arc::clone(&known)));
        known
    }
}

#[derive(Debug)]
struct ClusterRole {
    rules: Arc<[Rule]>,
    /// Of an aggregating one.
    selectors: Option<Vec<Selector>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RoleWire {
    rules: Option<Vec<Rule>>,
    aggregation_rule: Option<Aggregation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Aggregation {
    cluster_role_selectors: Option<Vec<serde_json::Value>>,
}

/// The fields of a binding that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Binding {
    /// The role.
    pub role_ref: RoleRef,
    subjects: Option<Vec<Subject>>,
}

/// A `RoleRef`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoleRef {
    /// `ClusterRole` or `Role`.
    pub kind: String,
    /// Name.
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

impl Table {
    /// Compiles what `reader` holds now. An object that does not parse grants nothing.
    pub fn compile(reader: &dyn Reader, before: &Self) -> Self {
        // Versions first: a change during the compilation makes the result look older than it is, never newer.
        let versions = versions(reader);
        let mut read = Read::default();
        let mut table = Self {
            versions,
            cluster_roles: cluster_roles(reader, &before.read.cluster_roles, &mut read.cluster_roles),
            ..Self::default()
        };
        for object in reader.list(&ROLES, None) {
            let rules = read.roles.read(&before.read.roles, &object, |object| {
                parse::<RoleWire>(object).rules.unwrap_or_default().into()
            });
            let key = (object.namespace.clone(), object.name.clone());
            table.roles.insert(key, Arc::clone(&rules));
        }
        for resource in [&CLUSTER_ROLE_BINDINGS, &ROLE_BINDINGS] {
            for object in reader.list(resource, None) {
                let binding = read.bindings.read(&before.read.bindings, &object, parse);
                table.bind(&object, &binding);
            }
        }
        table.read = read;
        table
    }

    fn bind(&mut self, object: &Object, binding: &Binding) {
        let rules = self.role(&binding.role_ref, &object.namespace);
        let subjects = if object.namespace.is_empty() {
            &mut self.cluster
        } else {
            self.namespaces.entry(object.namespace.clone()).or_default()
        };
        for subject in binding.subjects.iter().flatten() {
            let (place, key, text) = match subject.kind.as_str() {
                "User" => (
                    &mut subjects.users,
                    subject.name.clone(),
                    format!("User {:?}", subject.name),
                ),
                "Group" => (
                    &mut subjects.groups,
                    subject.name.clone(),
                    format!("Group {:?}", subject.name),
                ),
                "ServiceAccount" => {
                    let namespace = if subject.namespace.is_empty() {
                        &object.namespace
                    } else {
                        &subject.namespace
                    };
                    if namespace.is_empty() {
                        continue;
                    }
                    let text = format!("ServiceAccount {:?}", format!("{}/{namespace}", subject.name));
                    (&mut subjects.users, user_name(namespace, &subject.name), text)
                }
                _ => continue,
            };
            place.entry(key).or_default().push(Arc::new(Grant {
                namespace: object.namespace.clone(),
                binding: object.name.clone(),
                role_kind: binding.role_ref.kind.clone(),
                role: binding.role_ref.name.clone(),
                subject: text,
                rules: rules.clone(),
            }));
        }
    }

    /// The rules of a role as a binding in `namespace` refers to it.
    pub fn role(&self, role: &RoleRef, namespace: &str) -> Option<Arc<[Rule]>> {
        match role.kind.as_str() {
            "ClusterRole" => self.cluster_roles.get(&role.name).cloned(),
            "Role" if !namespace.is_empty() => self
                .roles
                .get(&(namespace.to_owned(), role.name.clone()))
                .cloned(),
            _ => None,
        }
    }

    /// Everything granted to `user` in the whole cluster and, unless it is empty, in `namespace`.
    pub fn grants<'a>(&'a self, user: &'a UserInfo, namespace: &str) -> impl Iterator<Item = &'a Grant> {
        let places = [Some(&self.cluster), self.namespaces.get(namespace)];
        places.into_iter().flatten().flat_map(|subjects| {
            let own = subjects.users.get(&user.name).into_iter().flatten();
            let groups = user
                .groups
                .iter()
                .filter_map(|group| subjects.groups.get(group))
                .flatten();
            own.chain(groups).map(Arc::as_ref)
        })
    }
}

fn parse<T: Default + for<'de> Deserialize<'de>>(object: &Object) -> T {
    serde_json::from_slice(&object.bytes).unwrap_or_default()
}

/// The rules of every ClusterRole. An aggregating one has exactly the rules of those that it selects, directly or
/// through another aggregating one; upstream's aggregation controller arrives at the same after some time.
fn cluster_roles(
    reader: &dyn Reader,
    before: &Known<ClusterRole>,
    read: &mut Known<ClusterRole>,
) -> HashMap<String, Arc<[Rule]>> {
    let objects = reader.list(&CLUSTER_ROLES, None);
    let roles: Vec<(Arc<Object>, Arc<ClusterRole>)> = objects
        .into_iter()
        .map(|object| {
            let role = read.read(before, &object, cluster_role);
            (object, role)
        })
        .collect();
    let mut compiled = HashMap::new();
    for (index, (object, role)) in roles.iter().enumerate() {
        let rules = if role.selectors.is_some() {
            aggregated(&roles, index)
        } else {
            Arc::clone(&role.rules)
        };
        compiled.insert(object.name.clone(), rules);
    }
    compiled
}

fn cluster_role(object: &Object) -> ClusterRole {
    let role: RoleWire = parse(object);
    let selectors = role.aggregation_rule.map(|aggregation| {
        let selectors = aggregation.cluster_role_selectors.unwrap_or_default();
        selectors
            .iter()
            .filter_map(|selector| Selector::from_label_selector(selector).ok())
            .collect()
    });
    ClusterRole {
        rules: role.rules.unwrap_or_default().into(),
        selectors,
    }
}

/// The rules of those that an aggregating role selects.
fn aggregated(roles: &[(Arc<Object>, Arc<ClusterRole>)], index: usize) -> Arc<[Rule]> {
    let (mut seen, mut open) = (BTreeSet::from([index]), vec![index]);
    let mut rules = Vec::new();
    while let Some(at) = open.pop() {
        let role = &roles[at].1;
        let Some(selectors) = &role.selectors else {
            rules.extend(&*role.rules);
            continue;
        };
        for (other, (object, _)) in roles.iter().enumerate() {
            let selected = selectors
                .iter()
                .any(|selector| selector.matches_with(|label| object.labels.get(label)));
            if selected && seen.insert(other) {
                open.push(other);
            }
        }
    }
    let mut seen = HashSet::new();
    rules.retain(|rule| seen.insert(*rule));
    rules.into_iter().cloned().collect()
}
