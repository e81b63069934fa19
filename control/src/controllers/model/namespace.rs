//! Namespaces.

use serde::Deserialize;

use super::meta::metadata;
use super::{Condition, Meta, nullable};
use crate::controllers::informer::Object;

/// A namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Finalizers.
    pub spec: NamespaceSpec,
    /// Phase and conditions.
    pub status: NamespaceStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// Who has to finish before it may go; `kubernetes` is the namespace controller.
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<String>,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// Why deletion takes long.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl Object for Namespace {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// A ConfigMap; only `kube-root-ca.crt` is ever cached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Data.
    #[serde(deserialize_with = "nullable")]
    pub data: std::collections::BTreeMap<String, String>,
}

impl Object for ConfigMap {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
