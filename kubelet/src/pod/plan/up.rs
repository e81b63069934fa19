//! Keeping a pod running: sandbox, volumes, init containers in order, main containers, restarts.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::{Action, Plan, grace_period, initialized, restarts};
use crate::pod::state::{ContainerRecord, ImagePhase, Now, PodState, Sandbox, Volumes, Waiting};
use crate::spec::{Role, containers, restart_policy};

pub(super) fn keep_up(pod: &Pod, spec: &PodSpec, state: &PodState, now: Now, plan: &mut Plan) {
    let sandbox_ready = match &state.sandbox {
        Sandbox::Ready { .. } => true,
        Sandbox::Creating => false,
        Sandbox::Absent => {
            // What still counts as running did so in a sandbox that is lost. Its end is told first: the runtime forgets it
            // with the sandbox.
            if !state.containers.values().any(|r| r.running() || r.starting) {
                plan.actions.push(Action::CreateSandbox);
            }
            false
        }
        Sandbox::Failed { retry_at } => {
            if plan.due(*retry_at, now) {
                plan.actions.push(Action::CreateSandbox);
            }
            false
        }
    };
    let volumes_ready = match &state.volumes {
        Volumes::Ready => true,
        Volumes::Mounting => false,
        Volumes::Absent => {
            plan.actions.push(Action::MountVolumes);
            false
        }
        Volumes::Failed { retry_at } => {
            if plan.due(*retry_at, now) {
                plan.actions.push(Action::MountVolumes);
            }
            false
        }
    };
    stop_asked(pod, spec, state, plan);
    for name in wanted(spec, state) {
        let record = state.containers.get(&name);
        start(pod, &name, record, sandbox_ready && volumes_ready, now, plan);
    }
}

/// Containers that probes or a changed specification want stopped.
fn stop_asked(pod: &Pod, spec: &PodSpec, state: &PodState, plan: &mut Plan) {
    for (_, container) in containers(spec) {
        let Some(record) = state.containers.get(&container.name) else {
            continue;
        };
        if !record.running() || record.stopping.is_some() {
            continue;
        }
        let (message, grace) = if let Some(kill) = &record.kill {
            (kill.message.clone(), kill.grace_seconds)
        } else if image_changed(&container, record) {
            (
                format!(
                    "Container {} definition changed, will be restarted",
                    container.name
                ),
                None,
            )
        } else {
            continue;
        };
        let grace = grace.map_or_else(|| grace_period(pod), |s| Duration::from_secs(s.max(1) as u64));
        plan.actions.push(Action::StopContainer {
            container: container.name.clone(),
            grace,
            message,
        });
    }
}

/// Whether the container runs, or ran, with another image than it should.
pub(super) fn image_changed(container: &Container, record: &ContainerRecord) -> bool {
    let wanted = container.image.as_deref().unwrap_or_default();
    record
        .current
        .as_ref()
        .is_some_and(|instance| instance.image != wanted)
}

/// The containers that should run now and do not.
fn wanted(spec: &PodSpec, state: &PodState) -> Vec<String> {
    let policy = restart_policy(spec);
    let done = initialized(spec, state);
    let mut wanted = Vec::new();
    let mut blocked = false;
    for (role, container) in containers(spec) {
        let record = state.containers.get(&container.name);
        let running = record.is_some_and(ContainerRecord::running);
        let exited = record.and_then(ContainerRecord::exited);
        let want = match role {
            Role::Init if done || blocked => false,
            Role::Init => match exited {
                Some(terminated) if terminated.exit_code == 0 => false,
                _ => {
                    blocked = true;
                    !running
                }
            },
            Role::Sidecar if blocked => false,
            Role::Sidecar => {
                // Later containers wait until it has started, but only the first time.
                let started = running && record.is_some_and(|r| r.started);
                blocked |= !done && !started;
                !running
            }
            Role::Main => {
                (done || !blocked)
                    && match exited {
                        Some(terminated) => restarts(policy, terminated),
                        None => !running,
                    }
            }
            Role::Ephemeral => !running && exited.is_none(),
        };
        if want {
            wanted.push(container.name.clone());
        }
    }
    wanted
}

fn start(
    pod: &Pod,
    name: &str,
    record: Option<&ContainerRecord>,
    pod_ready: bool,
    now: Now,
    plan: &mut Plan,
) {
    let fresh = ContainerRecord::default();
    let record = record.unwrap_or(&fresh);
    if record.starting {
        return;
    }
    if let Some(terminated) = record.ended()
        && let Some(left) = record.backoff.remaining(terminated.finished_at, now.wall)
    {
        let delay = record.backoff.delay(terminated.finished_at).unwrap_or(left);
        let waiting = Waiting::new("CrashLoopBackOff", crash_loop_message(pod, name, delay));
        plan.waiting.push((name.to_owned(), waiting));
        plan.wake_at(now.mono + left);
        return;
    }
    if let Some(retry_at) = record.retry_at
        && !plan.due(retry_at, now)
    {
        return;
    }
    match record.image {
        ImagePhase::Unresolved => plan.actions.push(Action::ResolveImage {
            container: name.to_owned(),
        }),
        ImagePhase::Ready if pod_ready => {
            let restart = record.ended().is_some();
            plan.actions.push(Action::StartContainer {
                container: name.to_owned(),
                restart,
            });
        }
        ImagePhase::Resolving | ImagePhase::Ready => {}
    }
}

fn crash_loop_message(pod: &Pod, container: &str, delay: Duration) -> String {
    format!(
        "back-off {} restarting failed container={container} pod={}",
        go_duration(delay),
        crate::event::pod_text(pod)
    )
}

/// A duration as Go prints it (`10s`, `1m20s`, `5m0s`).
pub(crate) fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}
