//! What to do next for a pod: from its specification and what was observed to a list of actions.

mod down;
mod up;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::jiff::Timestamp;

use super::state::{ContainerRecord, Failure, Now, PodState, Step, Terminated, Waiting};
use crate::spec::{Role, containers, restart_policy};

#[cfg(test)]
mod tests;

/// One thing to do. All of them are begun at once; their results come back as new observations.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make namespaces and connect them to the network.
    CreateSandbox,
    /// Mount all volumes.
    MountVolumes,
    /// Look the image up, and pull it if the policy says so.
    ResolveImage {
        /// Container.
        container: String,
    },
    /// Create and start the container.
    StartContainer {
        /// Container.
        container: String,
        /// Whether it ran before, so that the back-off advances.
        restart: bool,
    },
    /// Run the preStop hook, then send the stop signal.
    StopContainer {
        /// Container.
        container: String,
        /// Time until SIGKILL.
        grace: Duration,
        /// Message of the Killing event.
        message: String,
    },
    /// SIGKILL: the grace period is over.
    ForceKill {
        /// Container.
        container: String,
    },
    /// The pod has failed as a whole.
    Fail(Failure),
    /// Unmount volumes, disconnect the network, remove the sandbox.
    Teardown,
    /// Tell the API that nothing is left: DELETE with grace period 0.
    DeletePod,
    /// Nothing is left to do, ever: the worker ends.
    Finish,
}

/// What to do now and when to look again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// To be begun now.
    pub actions: Vec<Action>,
    /// The earliest moment at which time alone changes the answer.
    pub wake: Option<Instant>,
    /// Containers that wait, and why.
    pub waiting: Vec<(String, Waiting)>,
}

impl Plan {
    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Whether `at` has come; if not, asks to be woken then.
    fn due(&mut self, at: Instant, now: Now) -> bool {
        let due = at <= now.mono;
        if !due {
            self.wake_at(at);
        }
        due
    }
}

/// Decides.
pub fn plan(pod: &Pod, state: &PodState, now: Now) -> Plan {
    let mut plan = Plan::default();
    let Some(spec) = pod.spec.as_ref() else {
        return plan;
    };
    force_kills(state, now, &mut plan);
    if stops(pod, spec, state) {
        down::wind_down(pod, spec, state, now, &mut plan);
        return plan;
    }
    if let Some(failure) = deadline_exceeded(spec, state, now, &mut plan) {
        plan.actions.push(Action::Fail(failure));
        return plan;
    }
    up::keep_up(pod, spec, state, now, &mut plan);
    plan
}

/// Whether the pod is on its way out rather than to be kept running.
pub fn stops(pod: &Pod, spec: &PodSpec, state: &PodState) -> bool {
    state.gone
        || state.failure.is_some()
        || state.api_terminal
        || pod.metadata.deletion_timestamp.is_some()
        || outcome(spec, state).is_some()
}

/// How a pod has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every main container ended with 0.
    Succeeded,
    /// Something failed for good.
    Failed,
}

/// Whether all containers have ended and none is to be restarted.
pub fn outcome(spec: &PodSpec, state: &PodState) -> Option<Outcome> {
    let policy = restart_policy(spec);
    let mut failed = false;
    for (role, container) in containers(spec) {
        let exited = state
            .containers
            .get(&container.name)
            .and_then(ContainerRecord::exited);
        match role {
            Role::Init => {
                if policy == "Never" && exited.is_some_and(|t| t.exit_code != 0) {
                    return Some(Outcome::Failed);
                }
            }
            Role::Main => {
                let terminated = exited?;
                if restarts(policy, terminated) {
                    return None;
                }
                failed |= terminated.exit_code != 0;
            }
            Role::Sidecar | Role::Ephemeral => {}
        }
    }
    Some(if failed {
        Outcome::Failed
    } else {
        Outcome::Succeeded
    })
}

/// Whether a policy restarts a main container that ended so.
pub fn restarts(policy: &str, terminated: &Terminated) -> bool {
    match policy {
        "Never" => false,
        "OnFailure" => terminated.exit_code != 0,
        _ => true,
    }
}

/// The containers whose ends count for nothing in a new sandbox: what is to run again starts from the beginning there, init
/// containers included.
pub fn start_over(spec: &PodSpec, state: &PodState) -> Vec<String> {
    let policy = restart_policy(spec);
    containers(spec)
        .filter(|(role, container)| {
            let record = state.containers.get(&container.name);
            record
                .and_then(ContainerRecord::exited)
                .is_some_and(|ended| match role {
                    Role::Main => restarts(policy, ended),
                    Role::Init | Role::Sidecar => true,
                    Role::Ephemeral => false,
                })
        })
        .map(|(_, container)| container.name.clone())
        .collect()
}

/// Whether initialization is behind us: a main container of this sandbox has run.
pub fn initialized(spec: &PodSpec, state: &PodState) -> bool {
    spec.containers.iter().any(|c| {
        state
            .containers
            .get(&c.name)
            .is_some_and(|r| r.current.is_some() || r.starting)
    })
}

/// When the last container ended that a changed image has stopped and whose successor is on its way: known to start
/// within moments, it leaves no gap that anybody should act on.
pub fn replacing(pod: &Pod, spec: &PodSpec, state: &PodState) -> Option<Timestamp> {
    if stops(pod, spec, state) {
        return None;
    }
    let ended = |(role, container): (Role, Cow<'_, Container>)| {
        let record = state.containers.get(&container.name)?;
        let ended = record.exited()?;
        let comes_back = match role {
            Role::Main => restarts(restart_policy(spec), ended),
            Role::Sidecar => true,
            Role::Init | Role::Ephemeral => false,
        };
        let undisturbed = record.waiting.is_none() && record.retry_at.is_none();
        (comes_back && undisturbed && up::image_changed(&container, record)).then_some(ended.finished_at)
    };
    containers(spec).filter_map(ended).max()
}

/// The grace period for stopping the pod now: as the deletion asks, else as the pod says, else 30 s; at least 1 s.
pub fn grace_period(pod: &Pod) -> Duration {
    let seconds = pod
        .metadata
        .deletion_grace_period_seconds
        .or_else(|| pod.spec.as_ref()?.termination_grace_period_seconds)
        .unwrap_or(30);
    Duration::from_secs(seconds.max(1) as u64)
}

fn force_kills(state: &PodState, now: Now, plan: &mut Plan) {
    for (name, record) in &state.containers {
        let Some(stopping) = &record.stopping else {
            continue;
        };
        let at = match (&stopping.kill, state.stop_deadline) {
            (Step::Pending, Some(all)) => all.min(stopping.deadline),
            (Step::Pending, None) => stopping.deadline,
            (Step::Failed { retry_at }, _) => *retry_at,
            (Step::Running | Step::Done, _) => continue,
        };
        if record.running() && plan.due(at, now) {
            plan.actions.push(Action::ForceKill {
                container: name.clone(),
            });
        }
    }
}

fn deadline_exceeded(spec: &PodSpec, state: &PodState, now: Now, plan: &mut Plan) -> Option<Failure> {
    let allowed = spec.active_deadline_seconds?;
    let passed = now.wall.duration_since(state.start_time?);
    let left = Duration::from_secs(allowed.max(0) as u64)
        .saturating_sub(Duration::try_from(passed).unwrap_or_default());
    if plan.due(now.mono + left, now) {
        return Some(Failure {
            reason: "DeadlineExceeded".into(),
            message: "Pod was active on the node longer than the specified deadline".into(),
        });
    }
    None
}
