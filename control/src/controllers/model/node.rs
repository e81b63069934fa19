//! Nodes and leases.

use serde::{Deserialize, Serialize};

use super::meta::metadata;
use super::{Condition, Meta, Time, Toleration, nullable};
use crate::controllers::informer::Object;

/// A node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: NodeSpec,
    /// Observed state.
    pub status: NodeStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Cordoned.
    pub unschedulable: bool,
    /// Taints.
    #[serde(deserialize_with = "nullable")]
    pub taints: Vec<Taint>,
    /// First pod CIDR.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// Pod CIDRs, one per family.
    #[serde(rename = "podCIDRs", deserialize_with = "nullable")]
    pub pod_cidrs: Vec<String>,
}

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: String,
    /// Since when, for NoExecute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Time>,
}

impl Taint {
    /// Whether a toleration covers this taint (upstream `ToleratesTaint`).
    pub fn is_tolerated_by(&self, toleration: &Toleration) -> bool {
        (toleration.effect.is_empty() || toleration.effect == self.effect)
            && (toleration.key.is_empty() || toleration.key == self.key)
            && match toleration.operator.as_str() {
                "" | "Equal" => toleration.value == self.value,
                "Exists" => true,
                _ => false,
            }
    }
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl Object for Node {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// A lease; for nodes its name is the node's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Holder and times.
    pub spec: LeaseSpec,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// Last renewal.
    pub renew_time: Option<Time>,
}

impl Object for Lease {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_match_as_upstream() {
        let taint = Taint {
            key: "k".into(),
            value: "v".into(),
            effect: "NoExecute".into(),
            time_added: None,
        };
        let toleration = |key: &str, operator: &str, value: &str, effect: &str| Toleration {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
            toleration_seconds: None,
        };
        for (given, expected) in [
            (toleration("k", "Equal", "v", "NoExecute"), true),
            (toleration("k", "", "v", ""), true),
            (toleration("k", "", "x", ""), false),
            (toleration("k", "Exists", "", "NoSchedule"), false),
            (toleration("", "Exists", "", ""), true),
            (toleration("j", "Exists", "", ""), false),
        ] {
            assert_eq!(taint.is_tolerated_by(&given), expected, "{given:?}");
        }
    }
}
