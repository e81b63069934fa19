//! Deployments and ReplicaSets (ReplicationControllers are read as ReplicaSets).

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::meta::metadata;
use super::{Condition, Meta, Selector, is_zero, nullable};
use crate::controllers::informer::Object;

/// A pod template, kept as text: a decoded one takes ten times the memory.
#[derive(Debug, Clone, Default)]
pub struct Template(Arc<str>);

impl Template {
    /// Decodes it.
    pub fn value(&self) -> Value {
        // The text came out of a JSON document, so it parses; the default is empty.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// From a decoded template.
    pub fn from_value(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().into()))
    }
}

/// A number, or a percentage of the replicas.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum IntOrPercent {
    /// A number.
    Int(i64),
    /// `"25%"`.
    Text(String),
}

impl IntOrPercent {
    /// The number for `total`; percentages round up or down. Malformed text counts as 0.
    pub fn resolve(&self, total: i64, round_up: bool) -> i64 {
        match self {
            Self::Int(number) => *number,
            Self::Text(text) => {
                let percent: i64 = text
                    .strip_suffix('%')
                    .and_then(|digits| digits.parse().ok())
                    .unwrap_or(0);
                let product = percent.saturating_mul(total);
                if round_up {
                    product.saturating_add(99) / 100
                } else {
                    product / 100
                }
            }
        }
    }
}

/// A ReplicaSet or ReplicationController.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: ReplicaSetSpec,
    /// Observed state.
    pub status: ReplicaSetStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// Wanted pods.
    pub replicas: Option<i64>,
    /// Seconds of readiness that count as available.
    pub min_ready_seconds: i64,
    /// Pods it manages. A ReplicationController's plain map is read by [`selector`].
    #[serde(deserialize_with = "selector")]
    pub selector: Selector,
    /// Template of its pods.
    pub template: Template,
}

/// Reads a label selector, or the plain map that ReplicationControllers have in its place.
fn selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let plain = value
        .as_object()
        .is_some_and(|map| map.values().all(Value::is_string) && !map.is_empty());
    if plain {
        let labels = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
        return Ok(Selector::equality(&labels));
    }
    if value.is_null() {
        return Ok(Selector::default());
    }
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}

/// `status`, which the controller computes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// Pods there are.
    pub replicas: i64,
    /// Pods with all labels of the template.
    #[serde(skip_serializing_if = "is_zero")]
    pub fully_labeled_replicas: i64,
    /// Ready pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready_replicas: i64,
    /// Available pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub available_replicas: i64,
    /// Generation this is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Conditions (`ReplicaFailure`).
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Object for ReplicaSet {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        vec![self.metadata.owner_index()]
    }
}

impl ReplicaSet {
    /// Wanted pods, 1 if unset.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }
}

/// A Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: DeploymentSpec,
    /// Observed state.
    pub status: DeploymentStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// Wanted pods.
    pub replicas: Option<i64>,
    /// Seconds of readiness that count as available.
    pub min_ready_seconds: i64,
    /// Pods it manages.
    #[serde(deserialize_with = "nullable")]
    pub selector: Selector,
    /// Template of its pods.
    pub template: Template,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub strategy: Strategy,
    /// Old ReplicaSets to keep.
    pub revision_history_limit: Option<i64>,
    /// No rollouts for now.
    pub paused: bool,
    /// Seconds without progress after which it is reported.
    pub progress_deadline_seconds: Option<i64>,
}

/// `spec.strategy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate` or `Recreate`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bounds of a rolling update.
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: RollingUpdate,
}

/// `spec.strategy.rollingUpdate`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// Pods above the wanted number.
    pub max_surge: Option<IntOrPercent>,
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrPercent>,
}

/// `status`, which the controller computes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// Generation this is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Pods there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: i64,
    /// Pods of the current template.
    #[serde(skip_serializing_if = "is_zero")]
    pub updated_replicas: i64,
    /// Ready pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready_replicas: i64,
    /// Available pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub available_replicas: i64,
    /// Pods still missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub unavailable_replicas: i64,
    /// Bumped when a ReplicaSet's name was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i64>,
    /// Conditions.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Object for Deployment {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl Deployment {
    /// Wanted pods, 1 if unset.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }
}
