//! To which pods a quota applies: `spec.scopes` and `spec.scopeSelector`.

use serde_json::{Value, json};

use super::{field, values};
use crate::admission::fields::items;

/// What scopes can ask about a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Traits {
    /// Has an active deadline.
    pub terminating: bool,
    /// Asks for no CPU and no memory.
    pub best_effort: bool,
    /// Its priority class, or empty.
    pub priority_class: String,
    /// Has an affinity to pods of other namespaces.
    pub cross_namespace: bool,
}

/// The scopes of a quota as requirements: `{scopeName, operator, values}`.
pub fn read(quota: &Value) -> Vec<Value> {
    let plain = items(quota, "/spec/scopes")
        .iter()
        .map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
    plain
        .chain(
            items(quota, "/spec/scopeSelector/matchExpressions")
                .iter()
                .cloned(),
        )
        .collect()
}

/// Whether a pod meets a requirement. An unknown one is met by none.
pub fn matches(traits: &Traits, requirement: &Value) -> bool {
    match field(requirement, "scopeName") {
        "Terminating" => traits.terminating,
        "NotTerminating" => !traits.terminating,
        "BestEffort" => traits.best_effort,
        "NotBestEffort" => !traits.best_effort,
        "CrossNamespacePodAffinity" => traits.cross_namespace,
        "PriorityClass" => {
            let class = traits.priority_class.as_str();
            match field(requirement, "operator") {
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                "In" => values(requirement).contains(&class),
                "NotIn" => !values(requirement).contains(&class),
                _ => false,
            }
        }
        _ => false,
    }
}
