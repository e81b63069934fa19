//! From a pod and what was observed to its `PodStatus`, field by field as upstream's kubelet writes it. Pure.
//!
//! Source: `pkg/kubelet/kubelet_pods.go` (`generateAPIPodStatus`, `getPhase`), `pkg/kubelet/status/generate.go`.

mod conditions;
mod container;
mod patch;
mod phase;

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::plan::stops;
use crate::pod::state::{Now, PodState, Sandbox};
use crate::spec::{Role, containers, qos_class, qos_name};

pub use patch::patch;

#[cfg(test)]
mod tests;

/// Computes the status. `previous` is the status last computed: conditions that did not change keep its times.
/// `host_ips` are the node's addresses, primary first.
pub fn build(
    pod: &Pod,
    previous: Option<&PodStatus>,
    state: &PodState,
    host_ips: &[IpAddr],
    now: Now,
) -> PodStatus {
    let (Some(spec), old) = (pod.spec.as_ref(), pod.status.clone().unwrap_or_default()) else {
        return PodStatus::default();
    };
    let previous = previous.unwrap_or(&old);
    if let (Some(failure), None) = (&state.failure, state.start_time) {
        // Refused before anything was started.
        return PodStatus {
            phase: Some("Failed".into()),
            reason: Some(failure.reason.clone()),
            message: Some(failure.message.clone()),
            qos_class: Some(qos_name(qos_class(spec)).into()),
            ..PodStatus::default()
        };
    }
    if state.api_terminal {
        return old;
    }
    let ended = stops(pod, spec, state) && quiet(state);
    let started = phase::any_main_started(spec, state);
    let mut all: Vec<(Role, _)> = containers(spec)
        .map(|(role, c)| (role, container::status(pod, role, &c, state)))
        .collect();
    if ended {
        container::settle(&mut all, started);
    }
    let phase = phase::phase(previous, spec, state, &all, ended, started);
    let context = conditions::Context {
        spec,
        api: &old,
        previous,
        phase,
        started,
        now,
    };
    let conditions = conditions::conditions(&context, state, &all);
    let of = |wanted: &[Role]| -> Option<Vec<_>> {
        let list: Vec<_> = all
            .iter()
            .filter(|(role, _)| wanted.contains(role))
            .map(|(_, s)| s.clone())
            .collect();
        (!list.is_empty()).then_some(list)
    };
    let ips = match &state.sandbox {
        Sandbox::Ready { ips } => ips.clone(),
        // Addresses stay visible after the end, as upstream keeps them.
        _ if ended => addresses(previous),
        _ => Vec::new(),
    };
    PodStatus {
        phase: Some(phase.into()),
        reason: state.failure.as_ref().map(|f| f.reason.clone()),
        message: state.failure.as_ref().map(|f| f.message.clone()),
        conditions: Some(conditions),
        container_statuses: of(&[Role::Main]),
        init_container_statuses: of(&[Role::Init, Role::Sidecar]),
        ephemeral_container_statuses: of(&[Role::Ephemeral]),
        host_ip: host_ips.first().map(ToString::to_string),
        host_ips: Some(host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip: ips.first().map(ToString::to_string),
        pod_ips: (!ips.is_empty()).then(|| ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
        start_time: state.start_time.map(Time),
        qos_class: Some(qos_name(qos_class(spec)).into()),
        ..PodStatus::default()
    }
}

/// Whether nothing of the pod runs or is being started.
fn quiet(state: &PodState) -> bool {
    state
        .containers
        .values()
        .all(|record| !record.running() && !record.starting)
}

fn addresses(status: &PodStatus) -> Vec<IpAddr> {
    status
        .pod_ips
        .iter()
        .flatten()
        .filter_map(|ip| ip.ip.parse().ok())
        .collect()
}
