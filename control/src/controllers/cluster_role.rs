//! Fills aggregated ClusterRoles (`admin`, `edit`, `view`) with the rules of the roles that they select.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/clusterroleaggregation`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::Context;
use super::api::{Api, Error, resources};
use super::informer::{Informer, Next, Object, Queue};
use super::model::{Meta, Selector, nullable};

const NAME: &str = "clusterrole-aggregation-controller";

/// A ClusterRole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Wire")]
struct ClusterRole {
    metadata: Meta,
    rules: Vec<Value>,
    selectors: Option<Vec<Selector>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    metadata: Value,
    #[serde(deserialize_with = "nullable")]
    rules: Vec<Value>,
    aggregation_rule: Option<Aggregation>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Aggregation {
    #[serde(deserialize_with = "nullable")]
    cluster_role_selectors: Vec<Selector>,
}

impl From<Wire> for ClusterRole {
    fn from(wire: Wire) -> Self {
        Self {
            metadata: serde_json::from_value(serde_json::json!({"metadata": wire.metadata}))
                .unwrap_or_default(),
            rules: wire.rules,
            selectors: wire.aggregation_rule.map(|rule| rule.cluster_role_selectors),
        }
    }
}

impl Object for ClusterRole {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let roles: Arc<Informer<ClusterRole>> = Informer::new(resources::cluster_roles());
    let (adder, store) = (queue.clone(), Arc::downgrade(&roles));
    roles.on_change(move |old, new| {
        let Some(roles) = store.upgrade() else { return };
        for role in [old, new].into_iter().flatten() {
            if role.selectors.is_some() {
                adder.add(role.metadata.name.clone());
            }
        }
        // Roles that select the changed one, before or after the change.
        for aggregated in roles.store().all() {
            let selects = |role: &Arc<ClusterRole>| {
                let selectors = aggregated.selectors.iter().flatten();
                selectors
                    .into_iter()
                    .any(|selector| selector.matches(&role.metadata.labels))
            };
            if [old, new].into_iter().flatten().any(selects) {
                adder.add(aggregated.metadata.name.clone());
            }
        }
    });
    let api = context.api(NAME);
    tasks.spawn(roles.clone().run(context.api(super::INFORMERS)));
    tasks.spawn(async move {
        roles.synced().await;
        queue.work(NAME, |name| reconcile(&api, &roles, name)).await;
    });
}

async fn reconcile(api: &Api, roles: &Informer<ClusterRole>, name: String) -> Result<Next, Error> {
    let Some(role) = roles.store().get("", &name) else {
        return Ok(Next::Wait);
    };
    let Some(selectors) = &role.selectors else {
        return Ok(Next::Wait);
    };
    let rules = union(&name, selectors, &roles.store().all());
    if rules != role.rules {
        api.edit(
            resources::cluster_roles(),
            ("", &name, &role.metadata.uid),
            "",
            |object| {
                let new = Value::from(rules.clone());
                let changed = object["rules"] != new;
                object["rules"] = new;
                changed
            },
        )
        .await?;
    }
    Ok(Next::Wait)
}

/// The rules of all selected roles, in the order of selectors and names, each rule once.
fn union(name: &str, selectors: &[Selector], roles: &[Arc<ClusterRole>]) -> Vec<Value> {
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        for role in roles.iter().filter(|role| role.metadata.name != name) {
            if selector.matches(&role.metadata.labels) {
                for rule in &role.rules {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_of_selected_roles_once() {
        let role = |name: &str, label: &str, verbs: &[&str]| {
            let value = json!({"metadata": {"name": name, "labels": {label: "true"}},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]});
            Arc::new(serde_json::from_value(value).unwrap())
        };
        let roles = [
            role("a", "view", &["get"]),
            role("b", "view", &["get"]),
            role("c", "edit", &["update"]),
        ];
        let selectors: Vec<Selector> = serde_json::from_value(
            json!([{"matchLabels": {"edit": "true"}}, {"matchLabels": {"view": "true"}}]),
        )
        .unwrap();
        let verbs: Vec<_> = union("x", &selectors, &roles)
            .iter()
            .map(|rule| rule["verbs"].clone())
            .collect();
        assert_eq!(verbs, [json!(["update"]), json!(["get"])]);
        assert!(
            union("c", &selectors[..1], &roles).is_empty(),
            "a role does not include itself"
        );
    }
}
