//! The two strategies: RollingUpdate and Recreate (upstream `rolling.go`, `recreate.go`).

use super::state::State;

/// Moves the newest ReplicaSet towards the wanted size, within the surge. `true` if it was scaled.
pub fn reconcile_newest(state: &mut State<'_>) -> bool {
    let Some(index) = state.newest else { return false };
    let wanted = state.deployment.replicas();
    let current = state.sets[index].replicas;
    if current == wanted {
        return false;
    }
    let target = if current > wanted {
        wanted
    } else {
        state.grown(current)
    };
    state.scale(index, target)
}

/// Shrinks the old ReplicaSets as far as availability allows. `true` if one was scaled.
pub fn reconcile_old(state: &mut State<'_>) -> bool {
    let old: Vec<_> = state
        .old()
        .into_iter()
        .filter(|index| state.sets[*index].replicas > 0)
        .collect();
    if old.is_empty() {
        return false;
    }
    let minimum = state.deployment.replicas() - state.max_unavailable();
    let missing = state.newest.map_or(0, |index| {
        state.sets[index].replicas - state.sets[index].available
    });
    let budget = state.total(|set| set.replicas) - minimum - missing;
    if budget <= 0 {
        return false;
    }
    let cleaned = clean_up_unhealthy(state, &old, budget);
    let shrunk = shrink_available(state, &old, minimum);
    cleaned || shrunk
}

/// Pods that are not available anyway go first: they cost nothing, and could block the rollout for ever.
fn clean_up_unhealthy(state: &mut State<'_>, old: &[usize], budget: i64) -> bool {
    let mut left = budget;
    for &index in old {
        let set = &state.sets[index];
        let down = left.min(set.replicas - set.available);
        if down > 0 {
            let target = set.replicas - down;
            state.scale(index, target);
            left -= down;
        }
    }
    left < budget
}

fn shrink_available(state: &mut State<'_>, old: &[usize], minimum: i64) -> bool {
    let surplus = state.total(|set| set.available) - minimum;
    let mut left = surplus;
    for &index in old {
        let replicas = state.sets[index].replicas;
        let down = left.min(replicas);
        if down > 0 {
            state.scale(index, replicas - down);
            left -= down;
        }
    }
    left < surplus
}

/// Recreate: scales all old ReplicaSets to nothing. `true` if one was scaled.
pub fn stop_old(state: &mut State<'_>) -> bool {
    let mut scaled = false;
    for index in state.old() {
        if state.sets[index].replicas > 0 {
            scaled |= state.scale(index, 0);
        }
    }
    scaled
}
