//! The cluster as the scheduler decides over it: nodes, what runs on them, and what has just been put there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keelson_api::quantity::Quantity;
use serde::Deserialize;
use serde_json::Value;

use super::pod::PodView;
use super::ports::Ports;
use super::resources::Amounts;
use crate::controllers::informer::Object;
use crate::controllers::model::{Meta, Shared, Taint, metadata, nullable};

/// A node's offer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Wire")]
pub struct NodeView {
    /// Metadata without annotations.
    pub meta: Meta,
    /// Cordoned.
    pub unschedulable: bool,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Allocatable resources.
    pub allocatable: Amounts,
    /// Allocatable pods.
    pub pods: i64,
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
#[serde(default)]
struct WireSpec {
    unschedulable: bool,
    #[serde(deserialize_with = "nullable")]
    taints: Vec<Taint>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireStatus {
    allocatable: Value,
}

impl From<Wire> for NodeView {
    fn from(wire: Wire) -> Self {
        let mut meta = wire.metadata;
        meta.annotations = Shared::default();
        let pods = &wire.status.allocatable["pods"];
        Self {
            meta,
            unschedulable: wire.spec.unschedulable,
            taints: wire.spec.taints,
            pods: Quantity::from_json(pods).map_or(0, Quantity::value),
            allocatable: Amounts::parse(&wire.status.allocatable),
        }
    }
}

impl Object for NodeView {
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl NodeView {
    /// Whether a change may let a pod fit that did not before; heartbeats do not.
    pub fn offers_like(&self, other: &Self) -> bool {
        self.unschedulable == other.unschedulable
            && self.taints == other.taints
            && self.allocatable == other.allocatable
            && self.pods == other.pods
            && self.meta.labels == other.meta.labels
    }
}

/// A node and what is on it.
#[derive(Debug, Default)]
pub struct NodeState {
    /// The node; `None` while only its pods are known.
    pub node: Option<Arc<NodeView>>,
    /// Pods by UID.
    pub pods: HashMap<String, Arc<PodView>>,
    /// Sum of their requests.
    pub used: Amounts,
    /// Ports that they have.
    pub ports: Ports,
    /// CPU and memory with a minimum per pod, for scoring.
    pub nonzero: (i64, i64),
}

/// Requests assumed for scoring when a pod names none: 100m CPU and 200 MB, as upstream.
pub fn nonzero(request: &Amounts) -> (i64, i64) {
    let or = |amount: i64, default: i64| if amount == 0 { default } else { amount };
    (or(request.cpu, 100), or(request.memory, 200 * 1024 * 1024))
}

impl NodeState {
    fn add(&mut self, pod: &Arc<PodView>) {
        self.used.add(&pod.request);
        self.ports.add(&pod.host_ports);
        let (cpu, memory) = nonzero(&pod.request);
        // As in Go: what is taken off again comes back to what it was.
        self.nonzero = (
            self.nonzero.0.wrapping_add(cpu),
            self.nonzero.1.wrapping_add(memory),
        );
        self.pods.insert(pod.meta.uid.clone(), pod.clone());
    }

    fn remove(&mut self, uid: &str) {
        if let Some(pod) = self.pods.remove(uid) {
            self.used.subtract(&pod.request);
            self.ports.remove(&pod.host_ports);
            let (cpu, memory) = nonzero(&pod.request);
            self.nonzero = (
                self.nonzero.0.wrapping_sub(cpu),
                self.nonzero.1.wrapping_sub(memory),
            );
        }
    }
}

/// All nodes, and where each pod is.
#[derive(Debug, Default)]
pub struct Snapshot {
    states: Vec<NodeState>,
    by_name: HashMap<String, usize>,
    /// Pod UID to node name.
    places: HashMap<String, String>,
    /// Labels of namespaces, for affinity.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Placed pods that have required anti-affinity; with none, nobody's filter has to look for it.
    repelling: usize,
}

impl Snapshot {
    /// Nodes that exist.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeState, &NodeView)> {
        self.states
            .iter()
            .filter_map(|state| Some((state, state.node.as_deref()?)))
    }

    /// Number of slots, for [`Snapshot::slot`]. Some may be empty.
    pub fn slots(&self) -> usize {
        self.states.len()
    }

    /// The node in a slot.
    pub fn slot(&self, index: usize) -> Option<(&NodeState, &NodeView)> {
        let state = self.states.get(index)?;
        Some((state, state.node.as_deref()?))
    }

    /// Whether any placed pod keeps others away.
    pub fn has_repelling_pods(&self) -> bool {
        self.repelling > 0
    }

    fn state(&mut self, name: &str) -> &mut NodeState {
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.states.push(NodeState::default());
            self.states.len() - 1
        });
        &mut self.states[index]
    }

    /// Adds or replaces a node.
    pub fn set_node(&mut self, node: &Arc<NodeView>) {
        self.state(&node.meta.name).node = Some(node.clone());
    }

    /// Removes a node; its pods stay until they are deleted themselves.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(&index) = self.by_name.get(name) {
            self.states[index].node = None;
            self.drop_if_empty(name);
        }
    }

    fn drop_if_empty(&mut self, name: &str) {
        let Some(&index) = self.by_name.get(name) else {
            return;
        };
        let state = &self.states[index];
        if state.node.is_some() || !state.pods.is_empty() {
            return;
        }
        self.by_name.remove(name);
        self.states.swap_remove(index);
        let moved = self.states.len();
        if let Some(slot) = self.by_name.values_mut().find(|slot| **slot == moved) {
            *slot = index;
        }
    }

    /// Puts a pod on a node, be it there or only decided; moves it if it is on another.
    pub fn place(&mut self, pod: &Arc<PodView>, node: &str) {
        self.remove_pod(&pod.meta.uid);
        self.repelling += usize::from(!pod.affinity.pod_anti_affinity.required.is_empty());
        self.state(node).add(pod);
        self.places.insert(pod.meta.uid.clone(), node.to_owned());
    }

    /// Takes a pod away.
    pub fn remove_pod(&mut self, uid: &str) {
        let Some(node) = self.places.remove(uid) else {
            return;
        };
        if let Some(&index) = self.by_name.get(&node) {
            if let Some(pod) = self.states[index].pods.get(uid) {
                self.repelling -= usize::from(!pod.affinity.pod_anti_affinity.required.is_empty());
            }
            self.states[index].remove(uid);
            self.drop_if_empty(&node);
        }
    }

    /// Where a pod is or has been decided to go.
    pub fn place_of(&self, uid: &str) -> Option<&str> {
        self.places.get(uid).map(String::as_str)
    }
}
