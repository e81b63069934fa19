//! Node affinity, pod affinity and topology spread as the pod spec has them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::controllers::model::{Requirement, Selector, nullable};

/// `spec.affinity`.
// The names are the API's.
#[allow(clippy::struct_field_names)]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// To nodes.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity: NodeAffinity,
    /// To other pods.
    #[serde(deserialize_with = "nullable")]
    pub pod_affinity: PodAffinity,
    /// Away from other pods.
    #[serde(deserialize_with = "nullable")]
    pub pod_anti_affinity: PodAffinity,
}

/// `nodeAffinity`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// One of the terms must match.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
    /// Matching terms add weight.
    #[serde(
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub preferred: Vec<PreferredNode>,
}

/// A node selector: terms are alternatives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// Alternatives.
    #[serde(deserialize_with = "nullable")]
    pub node_selector_terms: Vec<NodeTerm>,
}

/// A weighted term.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreferredNode {
    /// 1-100.
    pub weight: i64,
    /// The term.
    pub preference: NodeTerm,
}

/// A term: all requirements must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeTerm {
    /// Over labels.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
    /// Over `metadata.name`.
    #[serde(deserialize_with = "nullable")]
    pub match_fields: Vec<Requirement>,
}

impl NodeTerm {
    /// Whether a node matches. An empty term matches no node.
    pub fn matches(&self, name: &String, labels: &BTreeMap<String, String>) -> bool {
        if self.match_expressions.is_empty() && self.match_fields.is_empty() {
            return false;
        }
        self.match_expressions
            .iter()
            .all(|requirement| requirement.matches(labels.get(&requirement.key)))
            && self
                .match_fields
                .iter()
                .all(|requirement| requirement.key == "metadata.name" && requirement.matches(Some(name)))
    }
}

/// `podAffinity` and `podAntiAffinity`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// All must hold.
    #[serde(
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub required: Vec<PodTerm>,
    /// Each adds weight.
    #[serde(
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub preferred: Vec<PreferredPod>,
}

/// A weighted term.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreferredPod {
    /// 1-100.
    pub weight: i64,
    /// The term.
    pub pod_affinity_term: PodTerm,
}

/// Pods in a topology domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTerm {
    /// Which pods; none if missing.
    pub label_selector: Option<Selector>,
    /// In which namespaces, beside those of the selector.
    #[serde(deserialize_with = "nullable")]
    pub namespaces: BTreeSet<String>,
    /// In the namespaces with these labels.
    pub namespace_selector: Option<Selector>,
    /// Label of nodes whose values are the domains.
    pub topology_key: String,
}

/// `spec.topologySpreadConstraints[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// Largest difference between domains.
    pub max_skew: i64,
    /// Label of nodes whose values are the domains.
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    pub when_unsatisfiable: String,
    /// Which pods count.
    pub label_selector: Option<Selector>,
    /// With fewer domains, the least is taken as 0.
    pub min_domains: Option<i64>,
    /// `Honor`, unless it is `Ignore`: nodes that the pod's node selector and affinity leave out do not count.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity_policy: String,
    /// `Ignore`, unless it is `Honor`: nodes with taints that the pod does not tolerate do not count.
    #[serde(deserialize_with = "nullable")]
    pub node_taints_policy: String,
    /// Labels whose values the incoming pod adds to the selector.
    #[serde(deserialize_with = "nullable")]
    pub match_label_keys: Vec<String>,
}
