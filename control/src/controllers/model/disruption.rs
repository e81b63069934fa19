//! PodDisruptionBudgets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::meta::metadata;
use super::{Condition, IntOrPercent, Meta, Selector, Time, nullable};
use crate::controllers::informer::Object;

/// A budget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: BudgetSpec,
    /// Observed state.
    pub status: BudgetStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    /// Pods it is about; `None` selects nothing, an empty selector everything.
    pub selector: Option<Selector>,
    /// Pods that must stay.
    pub min_available: Option<IntOrPercent>,
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrPercent>,
}

/// `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// Generation this is about.
    pub observed_generation: i64,
    /// Pods whose eviction was allowed and has not been seen yet.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub disrupted_pods: BTreeMap<String, Time>,
    /// Evictions that are allowed now.
    pub disruptions_allowed: i64,
    /// Healthy pods.
    pub current_healthy: i64,
    /// Healthy pods that there must be.
    pub desired_healthy: i64,
    /// Pods there should be.
    pub expected_pods: i64,
    /// `DisruptionAllowed`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Object for Budget {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
