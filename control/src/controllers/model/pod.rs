//! Pods as controllers see them.

use serde::{Deserialize, Deserializer};

use super::meta::metadata;
use super::{Condition, Meta, Shared, Time, nullable};
use crate::controllers::informer::Object;

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: PodSpec,
    /// Observed state.
    pub status: PodStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Node it is bound to.
    pub node_name: String,
    /// Node that its affinity names (`metadata.name`), as DaemonSets do before the pod is bound.
    #[serde(rename = "affinity", deserialize_with = "pinned_node")]
    pub pinned_node: String,
    /// Hostname, for DNS.
    pub hostname: String,
    /// Subdomain, for DNS.
    pub subdomain: String,
    /// Always, OnFailure or Never.
    pub restart_policy: String,
    /// Containers.
    pub containers: Shared<Vec<Container>>,
    /// Init containers; only restartable ones offer ports.
    pub init_containers: Shared<Vec<Container>>,
    /// Tolerations.
    pub tolerations: Shared<Vec<Toleration>>,
    /// Claims that its volumes name.
    #[serde(rename = "volumes", deserialize_with = "claims")]
    claims: Vec<Claim>,
}

/// A claim of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Claim {
    /// By its name.
    Named(String),
    /// Made for the pod, for the volume of this name.
    Ephemeral(String),
}

/// Of the volumes only what names a claim.
fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Claim>, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Volume {
        name: String,
        persistent_volume_claim: Option<Source>,
        ephemeral: Option<serde::de::IgnoredAny>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Source {
        claim_name: String,
    }
    let volumes: Vec<Volume> = nullable(deserializer)?;
    let mut claims: Vec<Claim> = volumes
        .into_iter()
        .filter_map(
            |volume| match (volume.persistent_volume_claim, volume.ephemeral) {
                (Some(source), _) => Some(Claim::Named(source.claim_name)),
                (None, Some(_)) => Some(Claim::Ephemeral(volume.name)),
                (None, None) => None,
            },
        )
        .collect();
    // It took the place of the volumes.
    claims.shrink_to_fit();
    Ok(claims)
}

/// The node in `affinity.nodeAffinity`, if its first required term names one.
fn pinned_node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let affinity = serde_json::Value::deserialize(deserializer)?;
    let required = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let fields = required["nodeSelectorTerms"][0]["matchFields"].as_array();
    let named = fields
        .into_iter()
        .flatten()
        .find(|field| field["key"] == "metadata.name" && field["operator"] == "In");
    Ok(named
        .and_then(|field| field["values"][0].as_str())
        .unwrap_or_default()
        .to_owned())
}

/// A container's name and ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Name.
    pub name: String,
    /// `Always` for sidecars.
    pub restart_policy: String,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ContainerPort>,
}

/// A container's port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Name or empty.
    pub name: String,
    /// Port number in the pod.
    pub container_port: i32,
    /// Port on the node, 0 for none.
    pub host_port: i32,
    /// Address on the node, empty for all.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// TCP, UDP or SCTP; empty means TCP.
    pub protocol: String,
}

/// A toleration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Taint key; empty with Exists matches all.
    pub key: String,
    /// Exists or Equal; empty means Equal.
    pub operator: String,
    /// Taint value.
    pub value: String,
    /// Taint effect; empty matches all.
    pub effect: String,
    /// How long NoExecute is tolerated; `None` is forever.
    pub toleration_seconds: Option<i64>,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Pending, Running, Succeeded, Failed or Unknown.
    pub phase: String,
    /// Why, e.g. `Evicted`.
    pub reason: String,
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// Primary address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// All addresses.
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pub pod_ips: Vec<PodIp>,
    /// Containers.
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers.
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// One of a pod's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// Address.
    pub ip: String,
}

/// A container's restarts and exit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Name.
    pub name: String,
    /// Restarts.
    pub restart_count: i64,
    /// Current state.
    pub state: ContainerState,
}

/// `state` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Set when it has ended.
    pub terminated: Option<Terminated>,
}

/// How a container ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Exit code.
    pub exit_code: i32,
    /// When.
    pub finished_at: Option<Time>,
}

impl Object for Pod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        let mut values = vec![self.metadata.owner_index()];
        if !self.spec.node_name.is_empty() {
            values.push(Self::index_node(&self.spec.node_name));
        }
        values
    }
}

impl Pod {
    /// Index value of the pods of a node.
    pub fn index_node(name: &str) -> String {
        format!("node/{name}")
    }

    /// The names of the claims that it uses, and whether each was made for it alone.
    pub fn claims(&self) -> impl Iterator<Item = (String, bool)> {
        self.spec.claims.iter().map(|claim| match claim {
            Claim::Named(name) => (name.clone(), false),
            Claim::Ephemeral(volume) => (format!("{}-{volume}", self.metadata.name), true),
        })
    }

    /// Has neither ended nor is being deleted (upstream `IsPodActive`).
    pub fn is_active(&self) -> bool {
        !self.has_ended() && self.metadata.deleted.is_none()
    }

    /// Succeeded or Failed.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Its Ready condition is True.
    pub fn is_ready(&self) -> bool {
        Condition::is_true(&self.status.conditions, "Ready")
    }

    /// When it became ready, if it is.
    pub fn ready_since(&self) -> Option<Time> {
        let condition = Condition::find(&self.status.conditions, "Ready")?;
        (condition.status == "True").then(|| condition.last_transition_time.unwrap_or_default())
    }

    /// Ready for at least `min_ready` seconds (upstream `IsPodAvailable`).
    pub fn is_available(&self, min_ready: i64, now: Time) -> bool {
        self.ready_since().is_some_and(|since| {
            min_ready == 0 || (since != Time::default() && now.since(since) >= min_ready)
        })
    }

    /// Restarts of the container that restarted most (upstream `maxContainerRestarts`, regular containers).
    pub fn max_restarts(&self) -> i64 {
        self.status
            .container_statuses
            .iter()
            .map(|status| status.restart_count)
            .max()
            .unwrap_or(0)
    }

    /// Containers whose ports Services can name: regular ones and sidecars.
    pub fn serving_containers(&self) -> impl Iterator<Item = &Container> {
        let sidecars = self
            .spec
            .init_containers
            .iter()
            .filter(|c| c.restart_policy == "Always");
        self.spec.containers.iter().chain(sidecars)
    }
}
