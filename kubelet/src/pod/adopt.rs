//! What a kubelet that has just started knows of a pod: from the runtime's records and the status it last wrote.

use std::collections::BTreeMap;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use keelson_runtime::node::{ContainerState, Phase, SandboxState};

use super::plan::restarts;
use super::state::{ContainerRecord, Instance, InstancePhase, PodState, Sandbox, Terminated};
use crate::spec::{Role, containers, restart_policy};

/// An adopted pod, and containers that were created but never started: to be removed.
#[derive(Debug, Default)]
pub struct Adopted {
    /// The state.
    pub state: PodState,
    /// Half-made containers.
    pub discard: Vec<String>,
    /// Earlier runs still known to the runtime, oldest first, with their numbers.
    pub dead: BTreeMap<String, Vec<(String, u32)>>,
    /// The sandbox exists but its namespaces do not (reboot): remove it before making a new one.
    pub stale_sandbox: bool,
}

/// Builds the state. `message` reads a container's termination message.
pub fn adopt(
    pod: &Pod,
    sandbox: Option<&SandboxState>,
    mut known: Vec<ContainerState>,
    message: impl Fn(&ContainerState) -> Option<String>,
) -> Adopted {
    let mut adopted = Adopted::default();
    let status = pod.status.clone().unwrap_or_default();
    let state = &mut adopted.state;
    state.start_time = status.start_time.as_ref().map(|t| t.0);
    state.api_terminal = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let alive = sandbox.is_some_and(|s| s.ready);
    if let Some(sandbox) = sandbox {
        let networked = sandbox.spec.host_network || !sandbox.ips.is_empty();
        if sandbox.ready && networked {
            state.sandbox = Sandbox::Ready {
                ips: sandbox.ips.clone(),
            };
        }
        adopted.stale_sandbox = !sandbox.ready;
    }
    known.sort_by_key(|c| (c.spec.attempt, c.created_at));
    let mut by_name: BTreeMap<String, Vec<ContainerState>> = BTreeMap::new();
    for container in known {
        // With its sandbox alive since before it, a container that nobody knows of was never started: the kubelet was
        // killed between the record and the request.
        let unstarted = container.phase == Phase::Unknown
            && sandbox.is_some_and(|sandbox| sandbox.ready && container.created_at >= sandbox.created_at);
        if container.phase == Phase::Created || unstarted {
            adopted.discard.push(container.spec.id);
        } else {
            by_name
                .entry(container.spec.name.clone())
                .or_default()
                .push(container);
        }
    }
    let Some(spec) = &pod.spec else { return adopted };
    let policy = restart_policy(spec);
    let lists = [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ];
    for (role, container) in containers(spec) {
        let told = lists
            .iter()
            .flat_map(|l| l.iter().flatten())
            .find(|s| s.name == container.name);
        let runs = by_name.remove(&container.name).unwrap_or_default();
        let earlier = runs
            .iter()
            .rev()
            .skip(1)
            .rev()
            .map(|run| (run.spec.id.clone(), run.spec.attempt));
        adopted.dead.insert(container.name.clone(), earlier.collect());
        let no_startup_probe = container.startup_probe.is_none();
        if let Some(record) = record(role, policy, alive, runs, told, no_startup_probe, &message) {
            state.containers.insert(container.name.clone(), record);
        }
    }
    adopted
}

fn record(
    role: Role,
    policy: &str,
    alive: bool,
    mut runs: Vec<ContainerState>,
    told: Option<&ContainerStatus>,
    no_startup_probe: bool,
    message: impl Fn(&ContainerState) -> Option<String>,
) -> Option<ContainerRecord> {
    let mut record = ContainerRecord::default();
    let newest = runs.pop();
    let before = runs.pop();
    let told_count = told.map_or(0, |s| s.restart_count.max(0) as u32);
    let Some(newest) = newest else {
        // The runtime knows nothing: what the API was told is all there is.
        let told = told?;
        let ended = told_end(told)?;
        record.restart_count = told_count;
        record.next_attempt = told_count + 1;
        place(&mut record, role, policy, ended, told);
        return Some(record);
    };
    record.restart_count = newest.spec.attempt.max(told_count);
    record.next_attempt = record.restart_count + 1;
    record.last = before.as_ref().map(|state| ended(state, message(state)));
    let same = told.filter(|s| s.container_id.as_deref() == Some(&format!("keelson://{}", newest.spec.id)));
    let instance = |phase| Instance {
        id: newest.spec.id.clone(),
        image: newest.spec.image.clone(),
        image_id: newest.spec.image_id.clone(),
        user: newest.user.clone(),
        phase,
    };
    if newest.phase == Phase::Running && alive {
        let started_at = timestamp(newest.started_at.unwrap_or(newest.created_at));
        record.current = Some(instance(InstancePhase::Running { started_at }));
        record.started = same.and_then(|s| s.started).unwrap_or(false) || no_startup_probe;
        record.ready = same.is_some_and(|s| s.ready);
        return Some(record);
    }
    let end = ended(&newest, message(&newest));
    // In a sandbox that is lost, what is to run again starts from the beginning, init containers included.
    if alive || stays_ended(role, policy, &end) {
        record.current = Some(instance(InstancePhase::Exited(end)));
    } else {
        record.last = Some(end);
    }
    Some(record)
}

/// Whether what has ended is not started again, whatever becomes of its sandbox.
fn stays_ended(role: Role, policy: &str, end: &Terminated) -> bool {
    match role {
        Role::Main => !restarts(policy, end),
        Role::Ephemeral => true,
        Role::Init | Role::Sidecar => false,
    }
}

/// Places an end known only from the API.
fn place(record: &mut ContainerRecord, role: Role, policy: &str, end: Terminated, told: &ContainerStatus) {
    if stays_ended(role, policy, &end) {
        record.current = Some(Instance {
            id: end.id.clone(),
            image: told.image.clone(),
            image_id: told.image_id.clone(),
            user: None,
            phase: InstancePhase::Exited(end),
        });
    } else {
        record.last = Some(end);
    }
}

/// How a container ended according to the API; one that ran and is gone ended in an unknown way.
fn told_end(told: &ContainerStatus) -> Option<Terminated> {
    let now = told.state.as_ref();
    if now.is_some_and(|s| s.running.is_some()) {
        return Some(unknown(bare_id(told.container_id.as_deref()), None));
    }
    let terminated = now
        .and_then(|s| s.terminated.as_ref())
        .or_else(|| told.last_state.as_ref().and_then(|s| s.terminated.as_ref()))?;
    Some(from_api(terminated))
}

fn from_api(told: &ContainerStateTerminated) -> Terminated {
    Terminated {
        id: bare_id(told.container_id.as_deref()),
        exit_code: told.exit_code,
        signal: told.signal,
        reason: told.reason.clone().unwrap_or_default(),
        message: told.message.clone(),
        started_at: told.started_at.as_ref().map(|t| t.0),
        finished_at: told.finished_at.as_ref().map_or_else(Timestamp::now, |t| t.0),
    }
}

fn bare_id(id: Option<&str>) -> String {
    id.map(|id| id.trim_start_matches("keelson://").to_owned())
        .unwrap_or_default()
}

fn unknown(id: String, started_at: Option<Timestamp>) -> Terminated {
    Terminated {
        id,
        exit_code: 137,
        signal: None,
        reason: "ContainerStatusUnknown".into(),
        message: Some("The container could not be located when the kubelet restarted".into()),
        started_at,
        finished_at: Timestamp::now(),
    }
}

/// How a container ended, from the runtime's record of it.
pub fn ended(state: &ContainerState, message: Option<String>) -> Terminated {
    let started_at = state.started_at.map(timestamp);
    match &state.phase {
        Phase::Exited {
            exit_code,
            signal,
            finished_at,
            oom_killed,
        } => Terminated {
            id: state.spec.id.clone(),
            exit_code: *exit_code,
            signal: *signal,
            reason: match (oom_killed, exit_code) {
                (true, _) => "OOMKilled",
                (false, 0) => "Completed",
                (false, _) => "Error",
            }
            .into(),
            message,
            started_at,
            finished_at: timestamp(*finished_at),
        },
        Phase::Created | Phase::Running | Phase::Unknown => unknown(state.spec.id.clone(), started_at),
    }
}

/// The API's form of a time; one out of its range becomes now.
pub fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_else(|_| Timestamp::now())
}

#[cfg(test)]
mod tests;
