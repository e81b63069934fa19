//! Requests and limits, and the kernel's units for them.
//!
//! Source: `pkg/kubelet/cm/helpers_linux.go` (shares, quota), `pkg/kubelet/qos/policy.go` (oom_score_adj),
//! `pkg/apis/core/v1/helper/qos` (class), `k8s.io/component-helpers/resource` (pod requests).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use keelson_runtime::node::{QosClass, Resources};

use super::quantity;
use super::{Role, containers};

/// Length of a CPU quota period, microseconds.
const PERIOD_US: i128 = 100_000;
/// The kernel's bounds of CPU shares.
const SHARES: (i128, i128) = (2, 262_144);

/// A container's limit of a resource, in thousandths.
pub fn limit(container: &Container, resource: &str) -> Option<i128> {
    lookup(container.resources.as_ref()?.limits.as_ref(), resource)
}

/// A container's request of a resource, in thousandths; its limit where it names no request.
pub fn request(container: &Container, resource: &str) -> Option<i128> {
    lookup(container.resources.as_ref()?.requests.as_ref(), resource).or_else(|| limit(container, resource))
}

fn lookup(list: Option<&BTreeMap<String, Quantity>>, resource: &str) -> Option<i128> {
    list?.get(resource).and_then(quantity::milli)
}

/// What the whole pod asks of a resource, in thousandths: the greater of the main containers' sum and the largest
/// init step, sidecars running beside both, plus overhead. Pod-level requests win where they are given.
pub fn pod_request(spec: &PodSpec, resource: &str) -> i128 {
    pod_total(spec, resource, request, |r| r.requests.as_ref())
}

fn pod_limit(spec: &PodSpec, resource: &str) -> Option<i128> {
    let all_limited = containers(spec)
        .filter(|(role, _)| matches!(role, Role::Main | Role::Sidecar))
        .all(|(_, c)| limit(&c, resource).is_some_and(|l| l > 0));
    let pod_level = spec
        .resources
        .as_ref()
        .and_then(|r| lookup(r.limits.as_ref(), resource));
    (all_limited || pod_level.is_some()).then(|| pod_total(spec, resource, limit, |r| r.limits.as_ref()))
}

fn pod_total(
    spec: &PodSpec,
    resource: &str,
    of: impl Fn(&Container, &str) -> Option<i128>,
    list: impl Fn(&k8s_openapi::api::core::v1::ResourceRequirements) -> Option<&BTreeMap<String, Quantity>>,
) -> i128 {
    let (mut main, mut sidecars, mut largest_init) = (0, 0, 0);
    for (role, container) in containers(spec) {
        let amount = of(&container, resource).unwrap_or(0);
        match role {
            Role::Main => main += amount,
            Role::Sidecar => {
                sidecars += amount;
                largest_init = largest_init.max(sidecars);
            }
            Role::Init => largest_init = largest_init.max(sidecars + amount),
            Role::Ephemeral => {}
        }
    }
    let pod_level = spec.resources.as_ref().and_then(|r| lookup(list(r), resource));
    pod_level.unwrap_or((main + sidecars).max(largest_init))
        + lookup(spec.overhead.as_ref(), resource).unwrap_or(0)
}

/// The pod's quality-of-service class, from CPU and memory only.
pub fn qos_class(spec: &PodSpec) -> QosClass {
    let (mut any, mut guaranteed) = (false, true);
    for (role, container) in containers(spec) {
        if role == Role::Ephemeral {
            continue;
        }
        for resource in ["cpu", "memory"] {
            let limit = limit(&container, resource).filter(|v| *v > 0);
            let request = request(&container, resource).filter(|v| *v > 0);
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && limit == request;
        }
    }
    match (any, guaranteed) {
        (false, _) => QosClass::BestEffort,
        (true, true) => QosClass::Guaranteed,
        (true, false) => QosClass::Burstable,
    }
}

/// The class as the API spells it.
pub fn qos_name(class: QosClass) -> &'static str {
    match class {
        QosClass::Guaranteed => "Guaranteed",
        QosClass::Burstable => "Burstable",
        QosClass::BestEffort => "BestEffort",
    }
}

/// Score adjustment for the kernel's OOM killer. `memory_capacity` is the node's, in bytes.
pub fn oom_score_adj(spec: &PodSpec, container: &Container, memory_capacity: u64) -> i32 {
    /// `system-node-critical`.
    const NODE_CRITICAL: i32 = 2_000_001_000;
    const GUARANTEED: i32 = -997;
    if spec.priority.unwrap_or(0) >= NODE_CRITICAL {
        return GUARANTEED;
    }
    match qos_class(spec) {
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let bytes = request(container, "memory").unwrap_or(0) / 1000;
            let share = 1000 * bytes / i128::from(memory_capacity.max(1));
            // Above Guaranteed pods, below BestEffort ones.
            (1000 - share.min(2000) as i32).clamp(1000 + GUARANTEED, 999)
        }
    }
}

/// A container's limits in the kernel's units.
pub fn container_resources(spec: &PodSpec, container: &Container, memory_capacity: u64) -> Resources {
    Resources {
        oom_score_adj: Some(oom_score_adj(spec, container, memory_capacity)),
        hugepages: hugepages(container),
        ..resources(
            request(container, "cpu").unwrap_or(0),
            limit(container, "cpu"),
            limit(container, "memory"),
        )
    }
}

/// The whole pod's limits in the kernel's units.
pub fn pod_resources(spec: &PodSpec) -> Resources {
    resources(
        pod_request(spec, "cpu"),
        pod_limit(spec, "cpu"),
        pod_limit(spec, "memory"),
    )
}

fn resources(cpu_request: i128, cpu_limit: Option<i128>, memory_limit: Option<i128>) -> Resources {
    let cpu_limit = cpu_limit.filter(|milli| *milli > 0);
    Resources {
        cpu_shares: Some((cpu_request * 1024 / 1000).clamp(SHARES.0, SHARES.1) as u64),
        // The kernel refuses quotas below one millisecond.
        cpu_quota: cpu_limit.map(|milli| (milli * PERIOD_US / 1000).max(1000) as i64),
        cpu_period: cpu_limit.map(|_| PERIOD_US as u64),
        memory_limit: memory_limit
            .map(|milli| (milli / 1000) as i64)
            .filter(|bytes| *bytes > 0),
        ..Resources::default()
    }
}

fn hugepages(container: &Container) -> BTreeMap<String, u64> {
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    limits
        .into_iter()
        .flatten()
        .filter_map(|(name, amount)| {
            let size = name.strip_prefix("hugepages-")?;
            // The kernel writes 2MB where Kubernetes writes 2Mi.
            Some((
                size.replace('i', "B"),
                u64::try_from(quantity::value(amount)?).ok()?,
            ))
        })
        .collect()
}
