//! `status.containerStatuses[]`.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ContainerUser, LinuxContainerUser, Pod, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::state::{ContainerRecord, InstancePhase, PodState, Terminated};
use crate::spec::Role;

pub(super) fn status(pod: &Pod, role: Role, container: &Container, state: &PodState) -> ContainerStatus {
    let fresh = ContainerRecord::default();
    let record = state.containers.get(&container.name).unwrap_or(&fresh);
    let current = record.current.as_ref();
    let (now, last) = states(pod, record);
    let running = record.running();
    let ready = match role {
        Role::Init => record.exited().is_some_and(|t| t.exit_code == 0) && now.terminated.is_some(),
        Role::Ephemeral => false,
        Role::Sidecar | Role::Main => running && record.started && record.ready,
    };
    let started = match role {
        Role::Ephemeral => None,
        Role::Init => Some(running),
        Role::Sidecar | Role::Main => Some(running && record.started),
    };
    ContainerStatus {
        name: container.name.clone(),
        state: Some(now),
        last_state: Some(last),
        ready,
        started,
        restart_count: record.restart_count as i32,
        image: current.map_or_else(
            || container.image.clone().unwrap_or_default(),
            |i| i.image.clone(),
        ),
        image_id: current.map(|i| i.image_id.clone()).unwrap_or_default(),
        container_id: current.map(|i| container_id(&i.id)),
        resources: running.then(|| container.resources.clone()).flatten(),
        allocated_resources: container
            .resources
            .as_ref()
            .filter(|_| running)
            .and_then(|r| r.requests.clone()),
        user: current
            .and_then(|i| i.user.clone())
            .map(|(uid, gid, groups)| ContainerUser {
                linux: Some(LinuxContainerUser {
                    uid: uid.into(),
                    gid: gid.into(),
                    supplemental_groups: (!groups.is_empty())
                        .then(|| groups.into_iter().map(Into::into).collect()),
                }),
            }),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    }
}

fn container_id(id: &str) -> String {
    format!("keelson://{id}")
}

fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts: Vec<_> = container
        .volume_mounts
        .iter()
        .flatten()
        .map(|mount| {
            let read_only = mount.read_only.unwrap_or(false);
            VolumeMountStatus {
                name: mount.name.clone(),
                mount_path: mount.mount_path.clone(),
                read_only: read_only.then_some(true),
                recursive_read_only: read_only.then(|| match mount.recursive_read_only.as_deref() {
                    Some("Enabled" | "IfPossible") => "Enabled".to_owned(),
                    _ => "Disabled".to_owned(),
                }),
            }
        })
        .collect();
    (!mounts.is_empty()).then_some(mounts)
}

/// `state` and `lastState`.
fn states(pod: &Pod, record: &ContainerRecord) -> (ContainerState, ContainerState) {
    let before = record.last.as_ref().map(terminated).unwrap_or_default();
    match record.current.as_ref().map(|i| &i.phase) {
        Some(InstancePhase::Running { started_at }) => {
            let running = ContainerStateRunning {
                started_at: Some(Time(*started_at)),
            };
            (
                ContainerState {
                    running: Some(running),
                    ..ContainerState::default()
                },
                before,
            )
        }
        Some(InstancePhase::Exited(ended)) => match &record.waiting {
            Some(reason) => (waiting(&reason.reason, &reason.message), terminated(ended)),
            None => (terminated(ended), before),
        },
        None => {
            let default = if pod
                .spec
                .as_ref()
                .is_some_and(|s| s.init_containers.iter().flatten().next().is_some())
            {
                "PodInitializing"
            } else {
                "ContainerCreating"
            };
            let now = match &record.waiting {
                Some(reason) => waiting(&reason.reason, &reason.message),
                None => waiting(default, ""),
            };
            (now, before)
        }
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..ContainerState::default()
    }
}

fn terminated(ended: &Terminated) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: (!ended.id.is_empty()).then(|| container_id(&ended.id)),
            exit_code: ended.exit_code,
            // Upstream's runtimes do not report it; it is in the exit code.
            signal: None,
            reason: Some(ended.reason.clone()),
            message: ended.message.clone(),
            started_at: ended.started_at.map(Time),
            finished_at: Some(Time(ended.finished_at)),
        }),
        ..ContainerState::default()
    }
}

/// Gives every container of an ended pod a terminated state: what has none and was begun is unknown.
///
/// Source: `pkg/kubelet/status/status_manager.go`, `TerminatePod`.
pub(super) fn settle(all: &mut [(Role, ContainerStatus)], started: bool) {
    let any_init_begun = all.iter().rev().position(|(role, status)| {
        matches!(role, Role::Init | Role::Sidecar) && status.container_id.is_some()
    });
    let last_begun = any_init_begun.map(|from_end| all.len() - 1 - from_end);
    for (index, (role, status)) in all.iter_mut().enumerate() {
        let begun = match role {
            Role::Main | Role::Ephemeral => started,
            Role::Init | Role::Sidecar => started || last_begun.is_some_and(|last| index <= last),
        };
        let ended = status.state.as_ref().is_some_and(|s| s.terminated.is_some());
        if begun && !ended {
            // A container that waited for its restart has ended as it last did.
            let last = status.last_state.take().and_then(|s| s.terminated);
            status.state = Some(ContainerState {
                terminated: Some(last.unwrap_or_else(|| ContainerStateTerminated {
                    exit_code: 137,
                    reason: Some("ContainerStatusUnknown".into()),
                    message: Some("The container could not be located when the pod was terminated".into()),
                    ..ContainerStateTerminated::default()
                })),
                ..ContainerState::default()
            });
            status.last_state = Some(ContainerState::default());
        }
        status.ready &= *role == Role::Init;
        status.started = status.started.map(|_| false);
    }
}
