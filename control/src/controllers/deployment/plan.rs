//! One step of a Deployment, decided over plain data.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/deployment`: each step changes little, and what it causes brings the
//! next one.

use std::sync::Arc;

use super::state::{Action, State};
use super::{newest, progress, rolling, scaling};
use crate::controllers::model::{Deployment, DeploymentStatus, ReplicaSet, Time};

/// Actions in order, and the status afterwards.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub actions: Vec<Action>,
    /// Status to write.
    pub status: DeploymentStatus,
}

/// Decides. `old_pods` tells whether pods of ReplicaSets other than the named one (the newest) are still there,
/// which is what Recreate waits for.
pub fn plan(
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    old_pods: impl Fn(Option<&str>) -> bool,
    now: Time,
) -> Plan {
    let mut state = State::new(deployment, sets, now);
    if deployment.metadata.deleted.is_some() {
        newest::sync_revision(&mut state, false);
        let status = progress::status(&state);
        return Plan {
            actions: Vec::new(),
            status,
        };
    }
    progress::check_paused(&mut state);
    let status = if deployment.spec.paused || scaling::is_scaling_event(&state) {
        newest::sync_revision(&mut state, false);
        scaling::scale(&mut state);
        if deployment.spec.paused {
            clean_up(&mut state);
        }
        progress::status(&state)
    } else if state.is_rolling() {
        roll(&mut state);
        progress::rollout_status(&state)
    } else {
        recreate(&mut state, old_pods);
        progress::rollout_status(&state)
    };
    Plan {
        actions: state.actions,
        status,
    }
}

fn roll(state: &mut State<'_>) {
    newest::sync_revision(state, true);
    if rolling::reconcile_newest(state) || rolling::reconcile_old(state) {
        return;
    }
    clean_up_when_complete(state);
}

fn recreate(state: &mut State<'_>, old_pods: impl Fn(Option<&str>) -> bool) {
    newest::sync_revision(state, false);
    if rolling::stop_old(state) {
        return;
    }
    let newest_name = state.newest.map(|index| state.sets[index].name.as_str());
    let old_left = state.old().iter().any(|index| state.sets[*index].actual > 0);
    if old_left || old_pods(newest_name) {
        return;
    }
    newest::sync_revision(state, true);
    rolling::reconcile_newest(state);
    clean_up_when_complete(state);
}

fn clean_up_when_complete(state: &mut State<'_>) {
    if progress::is_complete(state.deployment, &progress::status(state)) {
        clean_up(state);
    }
}

/// Deletes the oldest revisions beyond the limit; only ReplicaSets that are empty and known to be so.
fn clean_up(state: &mut State<'_>) {
    let Some(limit) = state
        .deployment
        .spec
        .revision_history_limit
        .filter(|limit| *limit != i64::from(i32::MAX))
    else {
        return;
    };
    let mut old: Vec<_> = state
        .old()
        .into_iter()
        .filter(|index| {
            state.sets[*index]
                .source
                .as_ref()
                .is_some_and(|set| set.metadata.deleted.is_none())
        })
        .collect();
    old.sort_by_key(|index| state.sets[*index].revision());
    let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    for index in old.into_iter().take(surplus) {
        let set = &state.sets[index];
        let observed = set
            .source
            .as_ref()
            .is_some_and(|source| source.metadata.generation <= source.status.observed_generation);
        if set.replicas == 0 && set.actual == 0 && observed {
            let name = set.name.clone();
            state.actions.push(Action::Delete { name });
        }
    }
}
