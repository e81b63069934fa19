//! A pod as the scheduler sees it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::affinity::{Affinity, SpreadConstraint};
use super::resources::{Amounts, Container, amounts, pod_request};
use crate::controllers::informer::Object;
use crate::controllers::model::{Condition, Meta, Shared, Toleration, metadata, nullable};

/// Address that means all of a node's.
pub const EVERY_ADDRESS: &str = "0.0.0.0";

/// A port on the node that a pod asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// Address, or [`EVERY_ADDRESS`].
    pub ip: String,
    /// Port.
    pub port: i32,
}

/// What scheduling depends on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Wire")]
pub struct PodView {
    /// Metadata without annotations.
    pub meta: Meta,
    /// Node it is bound to, or empty.
    pub node_name: String,
    /// Whose job it is.
    pub scheduler_name: Shared<String>,
    /// Higher ones go first.
    pub priority: i64,
    /// What it takes.
    pub request: Amounts,
    /// Ports on the node.
    pub host_ports: Vec<HostPort>,
    /// `spec.nodeSelector`.
    pub node_selector: Shared<BTreeMap<String, String>>,
    /// `spec.affinity`.
    pub affinity: Affinity,
    /// `spec.tolerations`.
    pub tolerations: Shared<Vec<Toleration>>,
    /// `spec.topologySpreadConstraints`.
    pub spread: Vec<SpreadConstraint>,
    /// Has scheduling gates.
    pub gated: bool,
    /// Succeeded or Failed: takes nothing.
    pub ended: bool,
    /// `Never` or `PreemptLowerPriority`.
    pub preemption_policy: Shared<String>,
    /// Its PodScheduled condition.
    pub scheduled: Option<Box<Condition>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    #[serde(deserialize_with = "metadata")]
    metadata: Meta,
    spec: WireSpec,
    status: WireStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WireSpec {
    node_name: String,
    scheduler_name: Shared<String>,
    priority: i64,
    preemption_policy: Shared<String>,
    host_network: bool,
    node_selector: Shared<BTreeMap<String, String>>,
    #[serde(deserialize_with = "nullable")]
    affinity: Affinity,
    tolerations: Shared<Vec<Toleration>>,
    #[serde(deserialize_with = "nullable")]
    topology_spread_constraints: Vec<SpreadConstraint>,
    #[serde(deserialize_with = "nullable")]
    scheduling_gates: Vec<IgnoredAny>,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    init_containers: Vec<Container>,
    #[serde(deserialize_with = "amounts")]
    overhead: Amounts,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireStatus {
    phase: String,
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

impl From<Wire> for PodView {
    fn from(wire: Wire) -> Self {
        let spec = wire.spec;
        let mut meta = wire.metadata;
        meta.annotations = Shared::default();
        let ports = spec
            .containers
            .iter()
            .flat_map(|container| host_ports(container, spec.host_network));
        Self {
            meta,
            host_ports: ports.collect(),
            request: pod_request(&spec.containers, &spec.init_containers, &spec.overhead),
            node_name: spec.node_name,
            scheduler_name: spec.scheduler_name,
            priority: spec.priority,
            node_selector: spec.node_selector,
            affinity: spec.affinity,
            tolerations: spec.tolerations,
            spread: spec.topology_spread_constraints,
            gated: !spec.scheduling_gates.is_empty(),
            ended: matches!(wire.status.phase.as_str(), "Succeeded" | "Failed"),
            preemption_policy: spec.preemption_policy,
            scheduled: wire
                .status
                .conditions
                .into_iter()
                .find(|condition| condition.kind == "PodScheduled")
                .map(Box::new),
        }
    }
}

/// Host ports of a container. With the host's network every container port is one, since the API server's default
/// copies it; the flag covers pods that were written without that default.
fn host_ports(container: &Container, host_network: bool) -> impl Iterator<Item = HostPort> {
    let or = |text: &str, empty: &str| if text.is_empty() { empty } else { text }.to_owned();
    container.ports.iter().filter_map(move |entry| {
        let port = match entry.host_port {
            0 if host_network => entry.container_port,
            port => port,
        };
        (port > 0).then(|| HostPort {
            protocol: or(&entry.protocol, "TCP"),
            ip: or(&entry.host_ip, EVERY_ADDRESS),
            port,
        })
    })
}

impl Object for PodView {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl PodView {
    /// Waits for this scheduler.
    pub fn is_waiting(&self) -> bool {
        self.node_name.is_empty()
            && !self.ended
            && !self.gated
            && self.meta.deleted.is_none()
            && matches!(self.scheduler_name.as_str(), "" | "default-scheduler")
    }

    /// Takes room on its node.
    pub fn is_placed(&self) -> bool {
        !self.node_name.is_empty() && !self.ended
    }
}
