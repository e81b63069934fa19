//! Conditions and status of a Deployment (upstream `progress.go`, `sync.go`).

use super::state::State;
use crate::controllers::model::{Condition, Deployment, DeploymentStatus, Time};

/// `spec.progressDeadlineSeconds` of a Deployment without a deadline.
const NO_DEADLINE: i64 = i32::MAX as i64;
/// Everything is rolled out.
pub const AVAILABLE: &str = "NewReplicaSetAvailable";
/// It took too long.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// Whether progress is watched at all.
pub fn has_deadline(deployment: &Deployment) -> bool {
    deployment
        .spec
        .progress_deadline_seconds
        .is_some_and(|seconds| seconds != NO_DEADLINE)
}

/// The Progressing condition.
pub fn current(conditions: &[Condition]) -> Option<&Condition> {
    Condition::find(conditions, "Progressing")
}

/// Sets a condition unless status and reason stay the same; the transition time moves only with the status.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Time,
) {
    let known = Condition::find(conditions, kind);
    if known.is_some_and(|known| known.status == status && known.reason == reason) {
        return;
    }
    let transition = known
        .filter(|known| known.status == status)
        .and_then(|known| known.last_transition_time);
    conditions.retain(|condition| condition.kind != kind);
    conditions.push(Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_update_time: Some(now),
        last_transition_time: Some(transition.unwrap_or(now)),
        ..Condition::default()
    });
}

/// Pausing stops the clock of the progress deadline, resuming starts it anew.
pub fn check_paused(state: &mut State<'_>) {
    let deployment = state.deployment;
    if !has_deadline(deployment) {
        return;
    }
    let reason = current(&state.conditions).map(|condition| condition.reason.clone());
    if reason.as_deref() == Some(TIMED_OUT) {
        return;
    }
    let was_paused = reason.as_deref() == Some("DeploymentPaused");
    let (reason, message) = match (deployment.spec.paused, was_paused) {
        (true, false) => ("DeploymentPaused", "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    set_condition(
        &mut state.conditions,
        "Progressing",
        "Unknown",
        reason,
        message.to_owned(),
        state.now,
    );
}

/// Status from the ReplicaSets as they are, with the availability condition.
pub fn status(state: &State<'_>) -> DeploymentStatus {
    let deployment = state.deployment;
    let available = state.total(|set| set.available);
    let newest = state.newest.map_or(0, |index| state.sets[index].actual);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: state.total(|set| set.actual),
        updated_replicas: newest,
        ready_replicas: state.total(|set| set.ready),
        available_replicas: available,
        unavailable_replicas: (state.total(|set| set.replicas) - available).max(0),
        collision_count: deployment.status.collision_count,
        conditions: state.conditions.clone(),
    };
    let (value, reason, message) = if available >= deployment.replicas() - state.max_unavailable() {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set_condition(
        &mut status.conditions,
        "Available",
        value,
        reason,
        message.to_owned(),
        state.now,
    );
    status
}

/// Status during a rollout: also how it goes on.
pub fn rollout_status(state: &State<'_>) -> DeploymentStatus {
    let mut status = status(state);
    let deployment = state.deployment;
    let conditions = &mut status.conditions;
    if !has_deadline(deployment) {
        conditions.retain(|condition| condition.kind != "Progressing");
    }
    let reason = current(conditions).map(|condition| condition.reason.clone());
    let settled = status.replicas == status.updated_replicas && reason.as_deref() == Some(AVAILABLE);
    if has_deadline(deployment) && !settled {
        let name = match state.newest {
            Some(index) => format!("ReplicaSet {:?}", state.sets[index].name),
            None => format!("Deployment {:?}", deployment.metadata.name),
        };
        report_progress(state, &mut status, &name);
    }
    let failure = state.sets.iter().rev().find_map(|set| {
        let source = set.source.as_ref()?;
        Condition::find(&source.status.conditions, "ReplicaFailure")
    });
    match failure {
        Some(cause) => set_condition(
            &mut status.conditions,
            "ReplicaFailure",
            &cause.status,
            &cause.reason,
            cause.message.clone(),
            state.now,
        ),
        None => status
            .conditions
            .retain(|condition| condition.kind != "ReplicaFailure"),
    }
    status
}

fn report_progress(state: &State<'_>, status: &mut DeploymentStatus, name: &str) {
    if is_complete(state.deployment, status) {
        let message = format!("{name} has successfully progressed.");
        set_condition(
            &mut status.conditions,
            "Progressing",
            "True",
            AVAILABLE,
            message,
            state.now,
        );
    } else if is_progressing(&state.deployment.status, status) {
        // The update time moves with every step, since the deadline counts from the last one.
        let since = current(&status.conditions)
            .filter(|known| known.status == "True")
            .and_then(|known| known.last_transition_time);
        status
            .conditions
            .retain(|condition| condition.kind != "Progressing");
        status.conditions.push(Condition {
            kind: "Progressing".to_owned(),
            status: "True".to_owned(),
            reason: "ReplicaSetUpdated".to_owned(),
            message: format!("{name} is progressing."),
            last_update_time: Some(state.now),
            last_transition_time: Some(since.unwrap_or(state.now)),
            ..Condition::default()
        });
    } else if is_timed_out(state.deployment, &status.conditions, state.now) {
        let message = format!("{name} has timed out progressing.");
        set_condition(
            &mut status.conditions,
            "Progressing",
            "False",
            TIMED_OUT,
            message,
            state.now,
        );
    }
}

/// All pods are of the newest template and available, and nothing else is left.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.replicas();
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn is_progressing(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    after.updated_replicas > before.updated_replicas
        || after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

fn is_timed_out(deployment: &Deployment, conditions: &[Condition], now: Time) -> bool {
    let Some(condition) = current(conditions) else {
        return false;
    };
    match condition.reason.as_str() {
        AVAILABLE => false,
        TIMED_OUT => true,
        _ => deadline(deployment, condition).is_some_and(|deadline| deadline < now),
    }
}

fn deadline(deployment: &Deployment, condition: &Condition) -> Option<Time> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    Some(Time(condition.last_update_time?.0.saturating_add(seconds)))
}

/// Seconds until the deadline has to be looked at again, if the rollout is waiting for it.
pub fn check_again(deployment: &Deployment, status: &DeploymentStatus, now: Time) -> Option<u64> {
    let condition = current(&status.conditions)?;
    let waits = has_deadline(deployment)
        && !is_complete(deployment, status)
        && condition.reason != TIMED_OUT
        && condition.reason != AVAILABLE;
    let deadline = deadline(deployment, condition).filter(|_| waits)?;
    Some(u64::try_from(deadline.since(now)).unwrap_or(0) + 1)
}
