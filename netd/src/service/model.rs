//! The little that netd keeps of a Service and an EndpointSlice.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;

use crate::nft::pods::protocol;

/// Label of an EndpointSlice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label of objects that another proxy takes care of.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// How long a client stays with its endpoint when the Service does not say: three hours.
const DEFAULT_AFFINITY: u32 = 10_800;

/// Namespace and name, shared by whatever is kept under them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Namespace.
    pub(crate) namespace: Arc<str>,
    /// Name.
    pub(crate) name: Arc<str>,
}

impl Key {
    /// A key of these parts.
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Service {
    /// Cluster IPs; empty when headless or external.
    pub(crate) cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None`.
    pub(crate) headless: bool,
    /// `type: ExternalName`.
    pub(crate) external_name: Option<Box<str>>,
    /// Ports.
    pub(crate) ports: Vec<ServicePort>,
    /// Seconds that a client stays with its endpoint.
    pub(crate) affinity: Option<u32>,
    /// `externalIPs` and addresses of the load balancer.
    pub(crate) external_ips: Vec<IpAddr>,
    /// `externalTrafficPolicy: Local`.
    pub(crate) external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub(crate) internal_local: bool,
    /// Answered by a proxy of the operator's choice: known to DNS only.
    pub(crate) other_proxy: bool,
    /// Creation time in seconds: among Services that claim the same address, the oldest has it.
    pub(crate) created: i64,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServicePort {
    /// Name, may be empty.
    pub(crate) name: Box<str>,
    /// IP protocol number.
    pub(crate) protocol: u8,
    /// Port.
    pub(crate) port: u16,
    /// Port on every node, 0 for none.
    pub(crate) node_port: u16,
}

/// An EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Slice {
    /// Name of the Service, in the same namespace.
    pub(crate) service: Arc<str>,
    /// Ports.
    pub(crate) ports: Vec<SlicePort>,
    /// Endpoints.
    pub(crate) endpoints: Vec<Endpoint>,
}

/// A port of every endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlicePort {
    /// Name of the Service's port.
    pub(crate) name: Box<str>,
    /// IP protocol number.
    pub(crate) protocol: u8,
    /// Port.
    pub(crate) port: u16,
}

/// Whether an endpoint may get traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Yes.
    Ready,
    /// Only when nobody is ready: it is on its way out and still answers.
    Draining,
    /// No.
    Unready,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its address: consumers use the first of the list, which is all that the API promises anything about.
    pub(crate) ip: IpAddr,
    /// Its host name, for DNS.
    pub(crate) hostname: Option<Box<str>>,
    /// On this node.
    pub(crate) local: bool,
    /// Whether it may get traffic.
    pub(crate) state: State,
}

impl Service {
    /// Keeps what is needed of a Service. What cannot be understood is left out.
    pub(crate) fn from_api(object: &core::Service) -> Self {
        let Some(spec) = &object.spec else {
            return Self::default();
        };
        let headless = spec.cluster_ip.as_deref() == Some("None");
        let external_name = match spec.type_.as_deref() {
            Some("ExternalName") => spec.external_name.as_deref().map(Into::into),
            _ => None,
        };
        let single = spec.cluster_ip.iter();
        let cluster_ips: Vec<IpAddr> = match &spec.cluster_ips {
            Some(ips) if !ips.is_empty() => ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
            _ => single.filter_map(|ip| ip.parse().ok()).collect(),
        };
        Self {
            cluster_ips: if external_name.is_some() {
                Vec::new()
            } else {
                cluster_ips
            },
            headless,
            external_name,
            ports: spec
                .ports
                .iter()
                .flatten()
                .filter_map(ServicePort::from_api)
                .collect(),
            affinity: affinity(spec),
            external_ips: external_ips(object),
            external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
            internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
            other_proxy: object
                .metadata
                .labels
                .iter()
                .flatten()
                .any(|(k, _)| k == OTHER_PROXY),
            created: object
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(0, |t| t.0.as_second()),
        }
    }
}

fn affinity(spec: &core::ServiceSpec) -> Option<u32> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec
        .session_affinity_config
        .as_ref()
        .and_then(|c| c.client_ip.as_ref());
    let seconds = config
        .and_then(|c| c.timeout_seconds)
        .and_then(|s| u32::try_from(s).ok());
    // The API allows one second to one day.
    Some(
        seconds
            .filter(|s| (1..=86_400).contains(s))
            .unwrap_or(DEFAULT_AFFINITY),
    )
}

/// `externalIPs`, and what a load balancer was given unless it delivers to pods by itself (`ipMode: Proxy`). Source
/// ranges are not implemented, so the addresses of a Service that has some are not served rather than served to all.
fn external_ips(object: &core::Service) -> Vec<IpAddr> {
    let Some(spec) = &object.spec else {
        return Vec::new();
    };
    let mut ips: Vec<IpAddr> = spec
        .external_ips
        .iter()
        .flatten()
        .filter_map(|ip| ip.parse().ok())
        .collect();
    let restricted = spec
        .load_balancer_source_ranges
        .as_ref()
        .is_some_and(|r| !r.is_empty());
    if spec.type_.as_deref() == Some("LoadBalancer") && !restricted {
        let status = object.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        let ingress = status.and_then(|l| l.ingress.as_ref()).into_iter().flatten();
        let ours = ingress.filter(|i| i.ip_mode.as_deref() != Some("Proxy"));
        ips.extend(ours.filter_map(|i| i.ip.as_ref()?.parse::<IpAddr>().ok()));
    }
    // Translating these would cut the node off from itself or from everybody.
    ips.retain(|ip| !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast());
    ips
}

impl ServicePort {
    fn from_api(port: &core::ServicePort) -> Option<Self> {
        Some(Self {
            name: port.name.as_deref().unwrap_or_default().into(),
            protocol: protocol(port.protocol.as_deref().unwrap_or("TCP"))?,
            port: u16::try_from(port.port).ok().filter(|p| *p != 0)?,
            node_port: port.node_port.and_then(|p| u16::try_from(p).ok()).unwrap_or(0),
        })
    }
}

impl Slice {
    /// Keeps what is needed of an EndpointSlice; `None` when it belongs to no Service. What cannot be understood (a
    /// garbage address, a port out of range) is left out: one bad endpoint must not take the others down.
    pub(crate) fn from_api(object: &discovery::EndpointSlice, node: &str) -> Option<Self> {
        let service = object.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
        let endpoints = object
            .endpoints
            .iter()
            .filter_map(|e| Endpoint::from_api(e, node));
        Some(Self {
            service: service.as_str().into(),
            ports: object
                .ports
                .iter()
                .flatten()
                .filter_map(SlicePort::from_api)
                .collect(),
            endpoints: if object.address_type == "FQDN" {
                Vec::new()
            } else {
                endpoints.collect()
            },
        })
    }
}

impl SlicePort {
    fn from_api(port: &discovery::EndpointPort) -> Option<Self> {
        Some(Self {
            name: port.name.as_deref().unwrap_or_default().into(),
            protocol: protocol(port.protocol.as_deref().unwrap_or("TCP"))?,
            port: port
                .port
                .and_then(|p| u16::try_from(p).ok())
                .filter(|p| *p != 0)?,
        })
    }
}

impl Endpoint {
    fn from_api(endpoint: &discovery::Endpoint, node: &str) -> Option<Self> {
        let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        if ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        // Missing conditions are to be read as ready, as serving when ready, and as not terminating.
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let ready = conditions.ready.unwrap_or(true);
        let serving = conditions.serving.unwrap_or(ready);
        let terminating = conditions.terminating.unwrap_or(false);
        Some(Self {
            ip,
            hostname: endpoint
                .hostname
                .as_deref()
                .filter(|h| !h.is_empty())
                .map(Into::into),
            local: endpoint.node_name.as_deref() == Some(node),
            state: match (ready, serving && terminating) {
                (true, _) => State::Ready,
                (false, true) => State::Draining,
                (false, false) => State::Unready,
            },
        })
    }
}

#[cfg(test)]
mod tests;
