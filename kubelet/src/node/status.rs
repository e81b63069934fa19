//! The Node object and its status. Pure.
//!
//! Source: `pkg/kubelet/nodestatus/setters.go` (fields, reasons, messages), `pkg/kubelet/kubelet_node_status.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use super::facts::{Facts, Pressure};

/// What this kubelet calls itself.
pub(super) const KUBELET_VERSION: &str = "v1.33.0+keelson";
const RUNTIME_VERSION: &str = concat!("keelson://", env!("CARGO_PKG_VERSION"));
/// Memory kept from pods: upstream's default hard eviction threshold.
const RESERVED_MEMORY: u64 = 100 << 20;
/// Most images a status lists (`nodeStatusMaxImages`).
const MAX_IMAGES: usize = 50;

/// What is true of the node right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Health {
    pub pressure: Pressure,
    /// Our server accepts connections.
    pub listening: bool,
    /// Why pods cannot be connected; `None` if they can.
    pub network_problem: Option<String>,
    /// Why limits are not enforced; `None` if they are.
    pub limits_problem: Option<String>,
}

impl Health {
    /// Whether the node can take pods.
    pub fn ready(&self) -> bool {
        self.listening && self.network_problem.is_none()
    }
}

/// Labels every node has.
pub(super) fn labels(name: &str, facts: &Facts) -> BTreeMap<String, String> {
    [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", &facts.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", &facts.architecture),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The object to register.
pub(super) fn node(name: &str, facts: &Facts) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels(name, facts)),
            annotations: Some(
                [(
                    "volumes.kubernetes.io/controller-managed-attach-detach".to_owned(),
                    "true".to_owned(),
                )]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec::default()),
        status: None,
    }
}

fn amounts(facts: &Facts, max_pods: u32, allocatable: bool) -> BTreeMap<String, Quantity> {
    let pages: u64 = facts.hugepages.values().sum();
    let (memory, storage) = if allocatable {
        // Huge pages are set aside and cannot be used as ordinary memory.
        (
            facts.memory.saturating_sub(RESERVED_MEMORY + pages),
            facts.storage / 10 * 9,
        )
    } else {
        (facts.memory, facts.storage)
    };
    let kib = |bytes: u64| Quantity(format!("{}Ki", bytes / 1024));
    let mut list = BTreeMap::from([
        ("cpu".to_owned(), Quantity(facts.cpus.to_string())),
        ("memory".to_owned(), kib(memory)),
        ("ephemeral-storage".to_owned(), kib(storage)),
        ("pods".to_owned(), Quantity(max_pods.to_string())),
    ]);
    for (size, bytes) in &facts.hugepages {
        let amount = if *bytes == 0 {
            Quantity("0".into())
        } else {
            kib(*bytes)
        };
        list.insert(format!("hugepages-{size}"), amount);
    }
    list
}

/// What pods can get, in thousandths.
pub(super) fn allocatable_millis(facts: &Facts) -> BTreeMap<String, i128> {
    let list = amounts(facts, 0, true)
        .into_iter()
        .filter(|(name, _)| name != "pods");
    list.filter_map(|(name, quantity)| Some((name, crate::spec::quantity::milli(&quantity)?)))
        .collect()
}

/// Everything the status is made of.
pub(super) struct Inputs<'a> {
    pub name: &'a str,
    pub ips: &'a [IpAddr],
    pub facts: &'a Facts,
    pub max_pods: u32,
    pub port: u16,
    pub images: Vec<ContainerImage>,
    pub health: &'a Health,
    pub previous: &'a [NodeCondition],
    pub now: Timestamp,
}

/// The status.
pub(super) fn status(mut inputs: Inputs<'_>) -> NodeStatus {
    let facts = inputs.facts;
    let mut addresses: Vec<_> = inputs
        .ips
        .iter()
        .map(|ip| NodeAddress {
            type_: "InternalIP".into(),
            address: ip.to_string(),
        })
        .collect();
    addresses.push(NodeAddress {
        type_: "Hostname".into(),
        address: inputs.name.to_owned(),
    });
    inputs
        .images
        .sort_by_key(|image| std::cmp::Reverse(image.size_bytes));
    inputs.images.truncate(MAX_IMAGES);
    NodeStatus {
        addresses: Some(addresses),
        capacity: Some(amounts(facts, inputs.max_pods, false)),
        allocatable: Some(amounts(facts, inputs.max_pods, true)),
        conditions: Some(conditions(inputs.health, inputs.previous, inputs.now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: inputs.port.into(),
            }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: facts.architecture.clone(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: RUNTIME_VERSION.into(),
            kernel_version: facts.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: KUBELET_VERSION.into(),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".into(),
            os_image: facts.os_image.clone(),
            swap: None,
            system_uuid: facts.system_uuid.clone(),
        }),
        images: Some(inputs.images),
        ..NodeStatus::default()
    }
}

pub(super) fn conditions(health: &Health, previous: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let memory = if health.pressure.memory {
        (
            true,
            "KubeletHasInsufficientMemory",
            "kubelet has insufficient memory available".to_owned(),
        )
    } else {
        (
            false,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".to_owned(),
        )
    };
    let disk = if health.pressure.disk {
        (
            true,
            "KubeletHasDiskPressure",
            "kubelet has disk pressure".to_owned(),
        )
    } else {
        (
            false,
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure".to_owned(),
        )
    };
    let pid = (
        false,
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available".to_owned(),
    );
    let ready = match &health.network_problem {
        None if health.listening => (true, "KubeletReady", "kubelet is posting ready status".to_owned()),
        None => (
            false,
            "KubeletNotReady",
            "kubelet server is not listening yet".to_owned(),
        ),
        Some(problem) => (
            false,
            "KubeletNotReady",
            format!(
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                 message:{problem}"
            ),
        ),
    };
    let mut values = vec![
        ("MemoryPressure", memory),
        ("DiskPressure", disk),
        ("PIDPressure", pid),
        ("Ready", ready),
    ];
    if let Some(problem) = &health.limits_problem {
        values.insert(
            3,
            (
                "LimitsNotEnforced",
                (true, "MissingCgroupControllers", problem.clone()),
            ),
        );
    }
    values
        .into_iter()
        .map(|(type_, (value, reason, message))| {
            let value = if value { "True" } else { "False" };
            let before = previous.iter().find(|c| c.type_ == type_ && c.status == value);
            NodeCondition {
                type_: type_.into(),
                status: value.into(),
                reason: Some(reason.into()),
                message: Some(message),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: before
                    .and_then(|c| c.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .collect()
}

/// The events that tell of changed conditions: reason by condition and value.
pub(super) fn transition_events(previous: &[NodeCondition], current: &[NodeCondition]) -> Vec<&'static str> {
    let changed = current.iter().filter(|now| {
        !previous
            .iter()
            .any(|before| before.type_ == now.type_ && before.status == now.status)
    });
    changed
        .filter_map(|c| match (c.type_.as_str(), c.status.as_str()) {
            ("MemoryPressure", "True") => Some("NodeHasInsufficientMemory"),
            ("MemoryPressure", _) => Some("NodeHasSufficientMemory"),
            ("DiskPressure", "True") => Some("NodeHasDiskPressure"),
            ("DiskPressure", _) => Some("NodeHasNoDiskPressure"),
            ("PIDPressure", "True") => Some("NodeHasInsufficientPID"),
            ("PIDPressure", _) => Some("NodeHasSufficientPID"),
            ("Ready", "True") => Some("NodeReady"),
            ("Ready", _) => Some("NodeNotReady"),
            _ => None,
        })
        .collect()
}
