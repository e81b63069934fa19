//! The objects that every cluster has from its first moment: upstream's default roles and bindings, the system
//! namespaces and priority classes, and the Services `kubernetes` and `kube-dns`.
//!
//! [`joining`] has what machines need to join. Roles are data in a short notation ([`notation`]), one rule a line, in [`roles`] and [`controllers`].

mod cluster;
mod controllers;
mod joining;
mod notation;
mod roles;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub use self::cluster::{TRACKING, is_tracking, tracking};
use crate::Config;
use crate::auth::rbac::Rule;

const RBAC: &str = "rbac.authorization.k8s.io";

/// A role as the tables write it: its name, the aggregating roles that pick it up (`admin`, `edit`, `view`, or
/// empty), and its rules in the short notation.
type Role = (&'static str, &'static str, &'static str);

/// All objects, each after those that it needs: namespaces first.
pub fn objects(config: &Config) -> Vec<Value> {
    let mut objects = cluster::objects(config);
    objects.extend(rbac());
    objects.extend(joining::objects());
    objects
}

/// The rules of `system:node`, which the node authorizer applies to every kubelet.
pub fn node_rules() -> Vec<Rule> {
    let (_, _, text) = roles::ROLES
        .iter()
        .find(|(name, ..)| *name == "system:node")
        .copied()
        .unwrap_or_default();
    notation::rules(text)
}

fn rbac() -> Vec<Value> {
    let mut objects = Vec::new();
    for (name, into, text) in roles::ROLES {
        objects.push(cluster_role(name, into, &notation::rules(text)));
    }
    for (name, into, selects) in roles::AGGREGATING {
        let mut role = cluster_role(name, into, &aggregated(selects));
        let label = format!("{RBAC}/aggregate-to-{selects}");
        role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        objects.push(role);
    }
    for (role, subjects) in roles::BINDINGS {
        objects.push(binding(
            "ClusterRoleBinding",
            "",
            role,
            "ClusterRole",
            role,
            subjects,
        ));
    }
    for (name, _, text) in controllers::ROLES {
        let role = format!("system:controller:{name}");
        objects.push(cluster_role(&role, "", &notation::rules(text)));
        let subject = format!("sa:kube-system/{name}");
        objects.push(binding(
            "ClusterRoleBinding",
            "",
            &role,
            "ClusterRole",
            &role,
            &subject,
        ));
    }
    for (namespace, name, text) in roles::NAMESPACED {
        let mut role = object("Role", namespace, name);
        role["rules"] = json!(notation::rules(text));
        objects.push(role);
    }
    for (namespace, name, role, subjects) in roles::NAMESPACED_BINDINGS {
        objects.push(binding("RoleBinding", namespace, name, "Role", role, subjects));
    }
    objects
}

/// What an aggregating role holds of the default roles; roles that are added later count when a request is decided.
fn aggregated(selects: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (_, into, text) in roles::ROLES {
        if into.split_whitespace().any(|label| label == selects) {
            rules.extend(notation::rules(text));
        }
    }
    for (_, into, below) in roles::AGGREGATING {
        if into.split_whitespace().any(|label| label == selects) {
            rules.extend(aggregated(below));
        }
    }
    rules
}

fn object(kind: &str, namespace: &str, name: &str) -> Value {
    let mut object = json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn cluster_role(name: &str, into: &str, rules: &[Rule]) -> Value {
    let mut role = object("ClusterRole", "", name);
    for label in into.split_whitespace() {
        role["metadata"]["labels"][format!("{RBAC}/aggregate-to-{label}")] = "true".into();
    }
    role["rules"] = json!(rules);
    role
}

/// Subjects are written `user:NAME`, `group:NAME` or `sa:NAMESPACE/NAME`.
fn binding(kind: &str, namespace: &str, name: &str, role_kind: &str, role: &str, subjects: &str) -> Value {
    let subjects: Vec<Value> = subjects
        .split_whitespace()
        .filter_map(|subject| {
            let (kind, name) = subject.split_once(':')?;
            Some(match kind {
                "user" => json!({"apiGroup": RBAC, "kind": "User", "name": name}),
                "group" => json!({"apiGroup": RBAC, "kind": "Group", "name": name}),
                _ => {
                    let (namespace, name) = name.split_once('/')?;
                    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
                }
            })
        })
        .collect();
    let mut binding = object(kind, namespace, name);
    binding["roleRef"] = json!({"apiGroup": RBAC, "kind": role_kind, "name": role});
    if !subjects.is_empty() {
        binding["subjects"] = subjects.into();
    }
    binding
}
