//! ServiceCIDRs and IPAddresses.

use serde::Deserialize;

use super::meta::metadata;
use super::{Condition, Meta, nullable};
use crate::controllers::informer::Object;

/// A ServiceCIDR.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidr {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// The ranges.
    pub spec: ServiceCidrSpec,
    /// Whether addresses are given from it.
    pub status: ServiceCidrStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidrSpec {
    /// At most one of each family.
    #[serde(deserialize_with = "nullable")]
    pub cidrs: Vec<String>,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceCidrStatus {
    /// `Ready`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl Object for ServiceCidr {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// An IPAddress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpAddress {
    /// Metadata; the name is the address.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Whose it is.
    pub spec: IpAddressSpec,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpAddressSpec {
    /// Whose it is.
    #[serde(deserialize_with = "nullable")]
    pub parent_ref: Parent,
}

/// `spec.parentRef`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Parent {
    /// API group; empty for core.
    pub group: String,
    /// `services`.
    pub resource: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Object for IpAddress {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
