//! Scaling in the middle of a rollout or while paused: in proportion over all ReplicaSets (upstream `sync.go` `scale`).

use std::cmp::Reverse;

use super::revision;
use super::state::State;

/// Whether the Deployment's size changed since its ReplicaSets were last scaled.
pub fn is_scaling_event(state: &State<'_>) -> bool {
    let wanted = state.deployment.replicas();
    state.sets.iter().filter(|set| set.replicas > 0).any(|set| {
        revision::number(&set.annotations, revision::DESIRED).is_some_and(|desired| desired != wanted)
    })
}

/// Distributes the Deployment's size.
pub fn scale(state: &mut State<'_>) {
    let wanted = state.deployment.replicas();
    if let Some(index) = active_or_latest(state) {
        if state.sets[index].replicas != wanted {
            state.scale(index, wanted);
        }
        return;
    }
    if is_saturated(state) {
        super::rolling::stop_old(state);
        return;
    }
    if state.is_rolling() {
        in_proportion(state);
    }
}

/// The only ReplicaSet with pods, or, with none, the newest there is.
fn active_or_latest(state: &State<'_>) -> Option<usize> {
    let active: Vec<_> = (0..state.sets.len())
        .filter(|index| state.sets[*index].replicas > 0)
        .collect();
    match active.as_slice() {
        [] => state.newest.or_else(|| state.old().last().copied()),
        [only] => Some(*only),
        _ => None,
    }
}

fn is_saturated(state: &State<'_>) -> bool {
    let wanted = state.deployment.replicas();
    state.newest.is_some_and(|index| {
        let set = &state.sets[index];
        set.replicas == wanted
            && revision::number(&set.annotations, revision::DESIRED) == Some(wanted)
            && set.available == wanted
    })
}

fn in_proportion(state: &mut State<'_>) {
    let wanted = state.deployment.replicas();
    let mut active: Vec<_> = (0..state.sets.len())
        .filter(|index| state.sets[*index].replicas > 0)
        .collect();
    let allowed = if wanted > 0 { wanted + state.max_surge() } else { 0 };
    let to_add = allowed - state.total(|set| set.replicas);
    // Larger ones first; among equals the newer grows first and the older shrinks first.
    if to_add > 0 {
        active.sort_by_key(|index| Reverse((state.sets[*index].replicas, state.sets[*index].created)));
    } else {
        active.sort_by_key(|index| (Reverse(state.sets[*index].replicas), state.sets[*index].created));
    }
    let mut added = 0;
    let mut sizes = Vec::with_capacity(active.len());
    for &index in &active {
        let share = proportion(state, index, to_add, added);
        added += share;
        sizes.push(state.sets[index].replicas + share);
    }
    if let Some(first) = sizes.first_mut() {
        // What rounding left over.
        *first = (*first + to_add - added).max(0);
    }
    for (index, size) in active.into_iter().zip(sizes) {
        state.scale(index, size);
    }
}

fn proportion(state: &State<'_>, index: usize, to_add: i64, added: i64) -> i64 {
    let set = &state.sets[index];
    if set.replicas == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let left = to_add - added;
    let fraction = fraction(state, index);
    if to_add > 0 {
        fraction.min(left)
    } else {
        fraction.max(left)
    }
}

/// Growth (or shrinking, negative) that keeps the ReplicaSet's share of the Deployment.
fn fraction(state: &State<'_>, index: usize) -> i64 {
    let set = &state.sets[index];
    let wanted = state.deployment.replicas();
    if wanted == 0 {
        return -set.replicas;
    }
    let size = wanted + state.max_surge();
    let before = revision::number(&set.annotations, revision::MAX)
        .filter(|max| *max > 0)
        .unwrap_or(state.deployment.status.replicas);
    if before <= 0 {
        return 0;
    }
    // Integer rounding to nearest, halves up, as Go's math.Round for positive numbers.
    let scaled =
        (i128::from(set.replicas) * i128::from(size) * 2 + i128::from(before)) / (i128::from(before) * 2);
    i64::try_from(scaled).unwrap_or(i64::MAX) - set.replicas
}
