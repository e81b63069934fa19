//! Bringing a pod down: containers, then volumes and sandbox, then its object.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::{Action, Plan, grace_period};
use crate::pod::state::{ContainerRecord, Now, PodState, Sandbox, Step, Volumes};
use crate::spec::{Role, containers};

pub(super) fn wind_down(pod: &Pod, spec: &PodSpec, state: &PodState, now: Now, plan: &mut Plan) {
    let busy = stop_containers(pod, spec, state, now, plan)
        || state.sandbox == Sandbox::Creating
        || state.volumes == Volumes::Mounting;
    if busy {
        return;
    }
    // The exit codes must be safe in the API before the runtime forgets them.
    if !(state.status_settled || state.gone) {
        return;
    }
    let torn_down = step(&state.teardown, Action::Teardown, now, plan);
    if !torn_down {
        return;
    }
    if state.gone {
        plan.actions.push(Action::Finish);
    } else if pod.metadata.deletion_timestamp.is_some() {
        step(&state.deletion, Action::DeletePod, now, plan);
    }
}

/// Pushes `action` if it is time for it; whether it is already done.
fn step(step: &Step, action: Action, now: Now, plan: &mut Plan) -> bool {
    match step {
        Step::Done => return true,
        Step::Running => {}
        Step::Pending => plan.actions.push(action),
        Step::Failed { retry_at } => {
            if plan.due(*retry_at, now) {
                plan.actions.push(action);
            }
        }
    }
    false
}

/// Stops what runs: sidecars only after everything else has ended, last one first. Whether anything still lives.
fn stop_containers(pod: &Pod, spec: &PodSpec, state: &PodState, now: Now, plan: &mut Plan) -> bool {
    let mut sidecars = Vec::new();
    let mut alive = false;
    let mut listed = Vec::new();
    for (role, container) in containers(spec) {
        listed.push(container.name.clone());
        let Some(record) = state.containers.get(&container.name) else {
            continue;
        };
        if role == Role::Sidecar {
            sidecars.push((container.name.clone(), record));
        } else {
            alive |= stop(pod, &container.name, record, state, now, plan);
        }
    }
    // Containers the specification does not name any more (none today: the API forbids it) must end as well.
    for (name, record) in &state.containers {
        if !listed.contains(name) {
            alive |= stop(pod, name, record, state, now, plan);
        }
    }
    for (name, record) in sidecars.into_iter().rev() {
        if alive {
            return true;
        }
        alive |= stop(pod, &name, record, state, now, plan);
    }
    alive
}

fn stop(
    pod: &Pod,
    name: &str,
    record: &ContainerRecord,
    state: &PodState,
    now: Now,
    plan: &mut Plan,
) -> bool {
    if record.running() && record.stopping.is_none() {
        let grace = match state.stop_deadline {
            Some(deadline) => deadline.saturating_duration_since(now.mono),
            None => grace_period(pod),
        };
        let message = format!("Stopping container {name}");
        plan.actions.push(Action::StopContainer {
            container: name.to_owned(),
            grace,
            message,
        });
    }
    record.running() || record.starting
}
