//! `status.phase`.

use k8s_openapi::api::core::v1::{ContainerStatus, PodSpec, PodStatus};

use crate::pod::state::PodState;
use crate::spec::{Role, restart_policy};

/// Whether a main container has ever run.
pub(super) fn any_main_started(spec: &PodSpec, state: &PodState) -> bool {
    spec.containers.iter().any(|c| {
        state
            .containers
            .get(&c.name)
            .is_some_and(|r| r.current.is_some() || r.last.is_some())
    })
}

/// How many containers are in which state.
#[derive(Default)]
struct Count {
    pending_init: usize,
    pending_sidecars: usize,
    failed_init: usize,
    waiting: usize,
    running: usize,
    stopped: usize,
    succeeded: usize,
}

fn count(all: &[(Role, ContainerStatus)]) -> Count {
    let mut n = Count::default();
    for (role, status) in all {
        let now = status.state.as_ref();
        let running = now.is_some_and(|s| s.running.is_some());
        let terminated = now.and_then(|s| s.terminated.as_ref());
        let before = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
        match role {
            Role::Init => match terminated.or(if running { None } else { before }) {
                Some(ended) if ended.exit_code != 0 => n.failed_init += 1,
                // Waiting again after a success: the step counts as done.
                Some(_) => {}
                None => n.pending_init += 1,
            },
            Role::Sidecar => {
                if running {
                    n.running += 1;
                    n.pending_sidecars += usize::from(status.started != Some(true));
                } else if terminated.is_none() && before.is_none() {
                    n.pending_sidecars += 1;
                    n.waiting += 1;
                }
            }
            Role::Main => {
                if running {
                    n.running += 1;
                } else if let Some(ended) = terminated {
                    n.stopped += 1;
                    n.succeeded += usize::from(ended.exit_code == 0);
                } else if before.is_some() {
                    n.stopped += 1;
                } else {
                    n.waiting += 1;
                }
            }
            Role::Ephemeral => {}
        }
    }
    n
}

pub(super) fn phase(
    previous: &PodStatus,
    spec: &PodSpec,
    state: &PodState,
    all: &[(Role, ContainerStatus)],
    ended: bool,
    started: bool,
) -> &'static str {
    // A final phase is final.
    match previous.phase.as_deref().unwrap_or_default() {
        "Succeeded" => return "Succeeded",
        "Failed" => return "Failed",
        _ => {}
    }
    if state.failure.is_some() {
        return "Failed";
    }
    let n = count(all);
    let policy = restart_policy(spec);
    if n.failed_init > 0 && policy == "Never" {
        return "Failed";
    }
    let phase = if n.pending_init > 0 || (n.pending_sidecars > 0 && !started) || n.waiting > 0 {
        "Pending"
    } else if n.running > 0 {
        "Running"
    } else if n.stopped > 0 {
        match (n.stopped == n.succeeded, policy) {
            (true, _) if ended => "Succeeded",
            (false, _) if ended => "Failed",
            (_, "Always") => "Running",
            (true, _) => "Succeeded",
            (false, "Never") => "Failed",
            (false, _) => "Running",
        }
    } else {
        "Pending"
    };
    match phase {
        // Whatever was stopped before it could end by itself has failed.
        "Pending" | "Running" if ended => "Failed",
        phase => phase,
    }
}
