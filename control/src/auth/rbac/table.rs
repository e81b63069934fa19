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
    pub fn compile(reader: &dyn Reader) -> Self {
        // Versions first: a change during the compilation makes the result look older than it is, never newer.
        let versions = versions(reader);
        let mut table = Self {
            versions,
            cluster_roles: cluster_roles(reader),
            ..Self::default()
        };
        for object in reader.list(&ROLES, None) {
            let role: RoleWire = parse(&object);
            let key = (object.namespace.clone(), object.name.clone());
            table.roles.insert(key, role.rules.unwrap_or_default().into());
        }
        for object in reader.list(&CLUSTER_ROLE_BINDINGS, None) {
            table.bind(&object);
        }
        for object in reader.list(&ROLE_BINDINGS, None) {
            table.bind(&object);
        }
        table
    }

    fn bind(&mut self, object: &Object) {
        let binding: Binding = parse(object);
        let rules = self.role(&binding.role_ref, &object.namespace);
        let subjects = if object.namespace.is_empty() {
            &mut self.cluster
        } else {
            self.namespaces.entry(object.namespace.clone()).or_default()
        };
        for subject in binding.subjects.unwrap_or_default() {
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
fn cluster_roles(reader: &dyn Reader) -> HashMap<String, Arc<[Rule]>> {
    struct Parsed {
        object: Arc<Object>,
        rules: Vec<Rule>,
        selectors: Option<Vec<Selector>>,
    }
    let parsed: Vec<Parsed> = reader
        .list(&CLUSTER_ROLES, None)
        .into_iter()
        .map(|object| {
            let role: RoleWire = parse(&object);
            let selectors = role.aggregation_rule.map(|aggregation| {
                let selectors = aggregation.cluster_role_selectors.unwrap_or_default();
                selectors
                    .iter()
                    .filter_map(|selector| Selector::from_label_selector(selector).ok())
                    .collect()
            });
            Parsed {
                object,
                rules: role.rules.unwrap_or_default(),
                selectors,
            }
        })
        .collect();
    let mut compiled = HashMap::new();
    for (index, role) in parsed.iter().enumerate() {
        let rules: Arc<[Rule]> = if role.selectors.is_some() {
            let (mut seen, mut open) = (BTreeSet::from([index]), vec![index]);
            let mut selected = Vec::new();
            while let Some(at) = open.pop() {
                let Some(selectors) = &parsed[at].selectors else {
                    selected.extend(&*parsed[at].rules);
                    continue;
                };
                for (other, candidate) in parsed.iter().enumerate() {
                    let selected = selectors
                        .iter()
                        .any(|selector| selector.matches_with(|label| candidate.object.labels.get(label)));
                    if selected && seen.insert(other) {
                        open.push(other);
                    }
                }
            }
            let mut seen = HashSet::new();
            selected.retain(|rule| seen.insert(*rule));
            selected.into_iter().cloned().collect()
        } else {
            role.rules.clone().into()
        };
        compiled.insert(role.object.name.clone(), rules);
    }
    compiled
}
