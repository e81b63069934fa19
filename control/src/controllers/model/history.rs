//! DaemonSets, StatefulSets and the ControllerRevisions that keep their templates.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::metadata;
use super::{Condition, IntOrPercent, Meta, Selector, Template, is_zero, nullable};
use crate::controllers::informer::Object;

/// A template that was.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ControllerRevision {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// A patch with the template.
    pub data: Template,
    /// Number.
    pub revision: i64,
}

impl Object for ControllerRevision {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        vec![self.metadata.owner_index()]
    }
}

/// A DaemonSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: DaemonSetSpec,
    /// Observed state.
    pub status: DaemonSetStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetSpec {
    /// Pods it manages.
    #[serde(deserialize_with = "nullable")]
    pub selector: Selector,
    /// Template of its pods.
    pub template: Template,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: UpdateStrategy,
    /// Seconds of readiness that count as available.
    pub min_ready_seconds: i64,
    /// Old templates to keep.
    pub revision_history_limit: Option<i64>,
}

/// `spec.updateStrategy` of both kinds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    /// `RollingUpdate` or `OnDelete`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bounds.
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: RollingBounds,
}

/// `spec.updateStrategy.rollingUpdate`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingBounds {
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrPercent>,
    /// Pods that may be there twice (DaemonSets).
    pub max_surge: Option<IntOrPercent>,
    /// Ordinals below this keep the old template (StatefulSets).
    pub partition: i64,
}

/// `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetStatus {
    /// Nodes that run one and should.
    pub current_number_scheduled: i64,
    /// Nodes that run one and should not.
    pub number_misscheduled: i64,
    /// Nodes that should run one.
    pub desired_number_scheduled: i64,
    /// Nodes with a ready one.
    pub number_ready: i64,
    /// Generation this is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Nodes with one of the current template.
    #[serde(skip_serializing_if = "is_zero")]
    pub updated_number_scheduled: i64,
    /// Nodes with an available one.
    #[serde(skip_serializing_if = "is_zero")]
    pub number_available: i64,
    /// Nodes without.
    #[serde(skip_serializing_if = "is_zero")]
    pub number_unavailable: i64,
    /// Bumped when a revision's name was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i64>,
    /// Conditions.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Object for DaemonSet {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// A StatefulSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: StatefulSetSpec,
    /// Observed state.
    pub status: StatefulSetStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// Wanted pods.
    pub replicas: Option<i64>,
    /// Pods it manages.
    #[serde(deserialize_with = "nullable")]
    pub selector: Selector,
    /// Template of its pods.
    pub template: Template,
    /// Claims made for each pod.
    #[serde(deserialize_with = "nullable")]
    pub volume_claim_templates: Vec<Value>,
    /// Headless service that names the pods.
    pub service_name: String,
    /// `OrderedReady` or `Parallel`.
    pub pod_management_policy: String,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: UpdateStrategy,
    /// Seconds of readiness that count as available.
    pub min_ready_seconds: i64,
    /// Old templates to keep.
    pub revision_history_limit: Option<i64>,
    /// Where ordinals begin.
    #[serde(deserialize_with = "nullable")]
    pub ordinals: Ordinals,
}

/// `spec.ordinals`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// First ordinal.
    pub start: i64,
}

/// `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetStatus {
    /// Generation this is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// Pods there are.
    pub replicas: i64,
    /// Ready pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready_replicas: i64,
    /// Pods of the current revision.
    #[serde(skip_serializing_if = "is_zero")]
    pub current_replicas: i64,
    /// Pods of the update revision.
    #[serde(skip_serializing_if = "is_zero")]
    pub updated_replicas: i64,
    /// Revision before the update.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_revision: String,
    /// Revision after the update.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub update_revision: String,
    /// Bumped when a revision's name was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i64>,
    /// Available pods.
    pub available_replicas: i64,
    /// Conditions.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Object for StatefulSet {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl StatefulSet {
    /// Wanted pods, 1 if unset.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }
}
