//! Services, and the endpoint objects made for them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::metadata;
use super::{Meta, nullable};
use crate::controllers::informer::Object;

/// A service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: ServiceSpec,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// ClusterIP, NodePort, LoadBalancer or ExternalName.
    #[serde(rename = "type")]
    pub kind: String,
    /// Cluster address, `None` for headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// All cluster addresses.
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    pub cluster_ips: Vec<String>,
    /// IPv4, IPv6.
    #[serde(deserialize_with = "nullable")]
    pub ip_families: Vec<String>,
    /// Pod labels; `None` means that somebody else makes the endpoints.
    pub selector: Option<BTreeMap<String, String>>,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ServicePort>,
    /// Pods count as ready from the start.
    pub publish_not_ready_addresses: bool,
}

/// A service port.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name or empty.
    pub name: String,
    /// TCP, UDP, SCTP.
    pub protocol: String,
    /// Port of the service.
    pub port: i32,
    /// Number or name of a container port; null means `port`.
    pub target_port: Value,
    /// Application protocol.
    pub app_protocol: Option<String>,
}

impl Service {
    /// The cluster addresses that it holds.
    pub fn addresses(&self) -> Vec<IpAddr> {
        if self.spec.kind == "ExternalName" {
            return Vec::new();
        }
        let listed = self.spec.cluster_ips.iter();
        listed.filter_map(|address| address.parse().ok()).collect()
    }
}

impl Object for Service {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        self.addresses().iter().map(IpAddr::to_string).collect()
    }
}

/// An Endpoints object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Addresses.
    #[serde(deserialize_with = "nullable")]
    pub subsets: Vec<Value>,
}

impl Object for Endpoints {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// An EndpointSlice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// IPv4, IPv6 or FQDN.
    pub address_type: String,
    /// Endpoints.
    #[serde(deserialize_with = "nullable")]
    pub endpoints: Vec<Value>,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<EndpointPort>,
}

/// A port of all endpoints of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// Name or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// TCP, UDP, SCTP.
    #[serde(deserialize_with = "nullable")]
    pub protocol: String,
    /// Port of the pods; none means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// Application protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

impl Object for EndpointSlice {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        let service = self.metadata.labels.get("kubernetes.io/service-name");
        service
            .map(|name| format!("{}/{name}", self.metadata.namespace))
            .into_iter()
            .collect()
    }
}
