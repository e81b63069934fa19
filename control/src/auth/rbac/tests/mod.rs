//! Rules, tables and the attempts to get more than one has.

mod escalation;
mod reconcile;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::auth::memory::Memory;
use crate::auth::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES};
use crate::auth::{Attributes, Authorizer};

fn rule(verbs: &str, groups: &str, resources: &str, names: &str) -> Rule {
    let list = |text: &str| {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    Rule {
        verbs: list(verbs),
        api_groups: if groups.is_empty() {
            vec![String::new()]
        } else {
            list(groups)
        },
        resources: list(resources),
        resource_names: list(names),
        ..Rule::default()
    }
}

fn user(name: &str) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..UserInfo::default()
    }
}

fn role(kind: &str, namespace: &str, name: &str, rules: &[Rule]) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules})
}

fn binding(namespace: &str, name: &str, role_kind: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "User", "name": user}],
    })
}

struct Cluster {
    memory: Arc<Memory>,
    authorizer: Authorizer,
}

fn cluster() -> Cluster {
    let memory = Arc::new(Memory::default());
    memory.put(
        &CLUSTER_ROLES,
        &role(
            "ClusterRole",
            "",
            "all",
            &[
                rule("*", "*", "*", ""),
                Rule {
                    verbs: vec!["*".into()],
                    non_resource_urls: vec!["*".into()],
                    ..Rule::default()
                },
            ],
        ),
    );
    memory.put(
        &CLUSTER_ROLES,
        &role(
            "ClusterRole",
            "",
            "reader",
            &[rule("get list", "", "pods pods/log", "")],
        ),
    );
    memory.put(
        &CLUSTER_ROLES,
        &role(
            "ClusterRole",
            "",
            "rbac",
            &[rule(
                "*",
                "rbac.authorization.k8s.io",
                "roles rolebindings clusterroles clusterrolebindings",
                "",
            )],
        ),
    );
    // `*` as a verb includes escalate and bind; this one may only write.
    memory.put(
        &CLUSTER_ROLES,
        &role(
            "ClusterRole",
            "",
            "rbac-writer",
            &[rule(
                "get create update patch delete",
                "rbac.authorization.k8s.io",
                "roles rolebindings clusterroles clusterrolebindings",
                "",
            )],
        ),
    );
    for (user, role) in [
        ("eve", "reader"),
        ("eve", "rbac-writer"),
        ("rbac", "rbac"),
        ("boss", "all"),
    ] {
        memory.put(
            &CLUSTER_ROLE_BINDINGS,
            &binding("", &format!("{user}-{role}"), "ClusterRole", role, user),
        );
    }
    let authorizer = Authorizer::new(memory.clone());
    Cluster { memory, authorizer }
}

impl Cluster {
    fn may(&self, name: &str, verb: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let user = user(name);
        let attributes = Attributes {
            subresource,
            namespace,
            ..Attributes::resource(&user, verb, "", resource)
        };
        self.authorizer.authorize(&attributes).is_allowed()
    }

    fn write(
        &self,
        name: &str,
        resource: &str,
        namespace: &str,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), String> {
        check_escalation(&self.authorizer, &user(name), resource, namespace, "x", old, new)
            .map_err(|status| status.message)
    }
}

#[test]
fn rules_match_as_upstream() {
    let user = user("x");
    let asks = |rule: &Rule, verb: &str, group: &str, resource: &str, name: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        rule.allows(&Attributes {
            subresource,
            name,
            ..Attributes::resource(&user, verb, group, resource)
        })
    };
    let pods = rule("get", "", "pods", "");
    assert!(asks(&pods, "get", "", "pods", "a"));
    for (verb, group, resource) in [
        ("list", "", "pods"),
        ("get", "apps", "pods"),
        ("get", "", "pods/log"),
        ("get", "", "podss"),
    ] {
        assert!(
            !asks(&pods, verb, group, resource, ""),
            "{verb} {group} {resource}"
        );
    }
    let logs = rule("get", "", "pods/log", "");
    assert!(asks(&logs, "get", "", "pods/log", "") && !asks(&logs, "get", "", "pods", ""));
    let scale = rule("get", "*", "*/scale", "");
    assert!(
        asks(&scale, "get", "apps", "deployments/scale", "")
            && !asks(&scale, "get", "apps", "deployments", "")
    );
    let all = rule("*", "*", "*", "");
    assert!(asks(&all, "x", "y", "z/w", ""));
    let named = rule("get", "", "secrets", "a b");
    assert!(asks(&named, "get", "", "secrets", "b"));
    assert!(!asks(&named, "get", "", "secrets", "c") && !asks(&named, "get", "", "secrets", ""));
    // A resource rule never opens a path, nor the reverse.
    assert!(!all.allows(&Attributes::path(&user, "get", "/metrics")));
    let url = Rule {
        verbs: vec!["get".into()],
        non_resource_urls: vec!["/api/*".into()],
        ..Rule::default()
    };
    assert!(url.allows(&Attributes::path(&user, "get", "/api/v1")));
    assert!(!url.allows(&Attributes::path(&user, "get", "/api")));
    assert!(!asks(&url, "get", "", "pods", ""));
}

#[test]
fn null_lists_are_empty() {
    let rule: Rule = serde_json::from_value(json!({"verbs": ["get"], "resources": null})).unwrap();
    assert!(rule.resources.is_empty());
}

#[test]
fn role_bindings_count_in_their_namespace_only() {
    let cluster = cluster();
    cluster.memory.put(
        &ROLES,
        &role("Role", "a", "secrets", &[rule("get", "", "secrets", "")]),
    );
    cluster
        .memory
        .put(&ROLE_BINDINGS, &binding("a", "s", "Role", "secrets", "bob"));
    cluster
        .memory
        .put(&ROLE_BINDINGS, &binding("a", "all", "ClusterRole", "all", "amy"));
    assert!(cluster.may("bob", "get", "secrets", "a"));
    assert!(!cluster.may("bob", "get", "secrets", "b") && !cluster.may("bob", "get", "secrets", ""));
    assert!(cluster.may("amy", "delete", "pods", "a") && !cluster.may("amy", "list", "pods", ""));
    let amy = user("amy");
    assert!(
        !cluster
            .authorizer
            .authorize(&Attributes::path(&amy, "get", "/metrics"))
            .is_allowed()
    );
    // A Role of another namespace with the same name is not this one.
    cluster
        .memory
        .put(&ROLE_BINDINGS, &binding("b", "s", "Role", "secrets", "bob"));
    assert!(!cluster.may("bob", "get", "secrets", "b"));
}

#[test]
fn changes_count_at_once() {
    let cluster = cluster();
    assert!(cluster.may("eve", "get", "pods", "x"));
    cluster.memory.remove(&CLUSTER_ROLE_BINDINGS, "", "eve-reader");
    assert!(!cluster.may("eve", "get", "pods", "x"));
    cluster.memory.put(
        &CLUSTER_ROLE_BINDINGS,
        &binding("", "again", "ClusterRole", "gone", "eve"),
    );
    let eve = user("eve");
    let decision = cluster
        .authorizer
        .authorize(&Attributes::resource(&eve, "get", "", "pods"));
    assert_eq!(
        decision.reason(),
        "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
    cluster.memory.put(
        &CLUSTER_ROLES,
        &role("ClusterRole", "", "gone", &[rule("get", "", "pods", "")]),
    );
    assert!(cluster.may("eve", "get", "pods", "x"));
}

/// Megabytes of rules are not read again because something else has changed.
#[test]
fn only_what_has_changed_is_read_again() {
    let cluster = cluster();
    let rules = |name: &str| {
        let role = RoleRef {
            kind: "ClusterRole".to_owned(),
            name: name.to_owned(),
        };
        cluster.authorizer.rbac().role(&role, "").unwrap()
    };
    let (all, reader) = (rules("all"), rules("reader"));
    cluster.memory.put(
        &CLUSTER_ROLES,
        &role("ClusterRole", "", "reader", &[rule("get", "", "nodes", "")]),
    );
    assert!(cluster.may("eve", "get", "nodes", "") && !cluster.may("eve", "get", "pods", ""));
    assert!(Arc::ptr_eq(&all, &rules("all")));
    assert!(!Arc::ptr_eq(&reader, &rules("reader")));
}

#[test]
fn service_accounts_and_groups_are_subjects() {
    let cluster = cluster();
    cluster.memory.put(
        &ROLE_BINDINGS,
        &json!({
            "metadata": {"name": "sa", "namespace": "a"},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot"}, {"kind": "Group", "name": "team"}],
        }),
    );
    assert!(cluster.may("system:serviceaccount:a:robot", "get", "pods", "a"));
    assert!(!cluster.may("system:serviceaccount:b:robot", "get", "pods", "a"));
    assert!(!cluster.may("team", "get", "pods", "a"));
    let member = UserInfo {
        groups: vec!["team".to_owned()],
        ..user("m")
    };
    let attributes = Attributes {
        namespace: "a",
        ..Attributes::resource(&member, "get", "", "pods")
    };
    assert_eq!(
        cluster.authorizer.authorize(&attributes),
        Decision::Allow(
            "RBAC: allowed by RoleBinding \"sa/a\" of ClusterRole \"reader\" to Group \"team\"".to_owned()
        )
    );
}

#[test]
fn aggregation_follows_labels_and_survives_cycles() {
    let cluster = cluster();
    let aggregate = |name: &str, selects: &str, label: &str| {
        json!({
            "metadata": {"name": name, "labels": {label: "true"}},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {selects: "true"}}]},
            "rules": [rule("*", "*", "*", "")],
        })
    };
    cluster
        .memory
        .put(&CLUSTER_ROLES, &aggregate("a", "to-a", "to-b"));
    cluster
        .memory
        .put(&CLUSTER_ROLES, &aggregate("b", "to-b", "to-a"));
    cluster.memory.put(
        &CLUSTER_ROLE_BINDINGS,
        &binding("", "agg", "ClusterRole", "a", "ann"),
    );
    assert!(
        !cluster.may("ann", "get", "pods", ""),
        "stored rules of an aggregating role do not count"
    );
    let mut part = role("ClusterRole", "", "part", &[rule("get", "", "pods", "")]);
    part["metadata"]["labels"] = json!({"to-b": "true"});
    cluster.memory.put(&CLUSTER_ROLES, &part);
    assert!(cluster.may("ann", "get", "pods", "") && !cluster.may("ann", "list", "pods", ""));
}
