//! Finds or creates the ReplicaSet of the current template and keeps the revisions (upstream `sync.go`).

use std::collections::BTreeMap;

use super::hash::template_hash;
use super::progress::{self, set_condition};
use super::revision;
use super::state::{Action, Set, State};
use crate::controllers::api::EventType;

/// Brings the revision annotations of the newest ReplicaSet and the Deployment up to date; creates the ReplicaSet
/// if it is missing and `create` is set.
pub fn sync_revision(state: &mut State<'_>, create: bool) {
    let newest_old = state
        .old()
        .into_iter()
        .map(|index| state.sets[index].revision())
        .max()
        .unwrap_or(0);
    let next = newest_old.saturating_add(1);
    match state.newest {
        Some(index) => update_existing(state, index, next),
        None if create => create_set(state, next),
        None => {}
    }
}

fn update_existing(state: &mut State<'_>, index: usize, next: i64) {
    let deployment = state.deployment;
    let set = &mut state.sets[index];
    let annotations = revision::for_newest(&deployment.metadata.annotations, &set.annotations, next);
    let min_ready = deployment.spec.min_ready_seconds;
    if annotations != set.annotations || set.min_ready_seconds != min_ready {
        let changed = (set.min_ready_seconds != min_ready).then_some(min_ready);
        set.annotations = annotations.clone();
        set.min_ready_seconds = min_ready;
        let name = set.name.clone();
        state.actions.push(Action::Update {
            name,
            replicas: None,
            annotations,
            min_ready_seconds: changed,
        });
    }
    let text = state.sets[index].annotations.get(revision::REVISION).cloned();
    set_deployment_revision(state, text);
    if progress::has_deadline(deployment) && progress::current(&state.conditions).is_none() {
        let message = format!("Found new replica set {:?}", state.sets[index].name);
        set_condition(
            &mut state.conditions,
            "Progressing",
            "True",
            "FoundNewReplicaSet",
            message,
            state.now,
        );
    }
}

fn create_set(state: &mut State<'_>, next: i64) {
    let deployment = state.deployment;
    let hash = template_hash(&state.template, deployment.status.collision_count);
    let name = format!("{}-{hash}", deployment.metadata.name);
    let replicas = state.grown(0);
    let mut annotations = revision::for_newest(&deployment.metadata.annotations, &BTreeMap::default(), next);
    let wanted = deployment.replicas();
    annotations.insert(revision::DESIRED.to_owned(), wanted.to_string());
    annotations.insert(revision::MAX.to_owned(), (wanted + state.max_surge()).to_string());
    state.actions.push(Action::Create {
        name: name.clone(),
        hash,
        replicas,
        annotations: annotations.clone(),
    });
    if replicas > 0 {
        let message = format!("Scaled up replica set {name} from 0 to {replicas}");
        state
            .actions
            .push(Action::Event(EventType::Normal, "ScalingReplicaSet", message));
    }
    let text = annotations.get(revision::REVISION).cloned();
    if progress::has_deadline(deployment) {
        let message = format!("Created new replica set {name:?}");
        set_condition(
            &mut state.conditions,
            "Progressing",
            "True",
            "NewReplicaSetCreated",
            message,
            state.now,
        );
    }
    state.sets.push(Set {
        source: None,
        name,
        created: state.now,
        replicas,
        actual: 0,
        ready: 0,
        available: 0,
        annotations,
        min_ready_seconds: deployment.spec.min_ready_seconds,
    });
    state.newest = Some(state.sets.len() - 1);
    set_deployment_revision(state, text);
}

fn set_deployment_revision(state: &mut State<'_>, text: Option<String>) {
    let Some(text) = text else { return };
    if state.deployment.metadata.annotations.get(revision::REVISION) != Some(&text) {
        state.actions.push(Action::SetRevision(text));
    }
}
