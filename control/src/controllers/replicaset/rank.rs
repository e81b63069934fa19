//! In which order pods are given up when there are too many.
//!
//! Source: `ActivePodsWithRanks` in `k8s.io/kubernetes/pkg/controller/controller_utils.go`.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use crate::controllers::model::{Pod, Time};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// `Less` means that `a` goes first.
pub fn compare(a: &Pod, b: &Pod, related: &HashMap<String, usize>, now: Time) -> Ordering {
    let phase = |pod: &Pod| match pod.status.phase.as_str() {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let cost = |pod: &Pod| -> i32 {
        pod.metadata
            .annotations
            .get(DELETION_COST)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    let crowd = |pod: &Pod| related.get(&pod.spec.node_name).copied().unwrap_or(0);
    let by_ready_time = || match (a.ready_since(), b.ready_since()) {
        (Some(x), Some(y)) => by_age(a, b, x, y, now),
        _ => Ordering::Equal,
    };
    (!a.spec.node_name.is_empty())
        .cmp(&!b.spec.node_name.is_empty())
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| a.is_ready().cmp(&b.is_ready()))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| Reverse(crowd(a)).cmp(&Reverse(crowd(b))))
        .then_with(by_ready_time)
        .then_with(|| Reverse(a.max_restarts()).cmp(&Reverse(b.max_restarts())))
        .then_with(|| by_age(a, b, a.metadata.created, b.metadata.created, now))
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
}

/// The younger goes first, in steps that double (`LogarithmicScaleDown`); within a step the UID decides, so that
/// it is not always the newest zone or node that loses its pods.
fn by_age(a: &Pod, b: &Pod, x: Time, y: Time, now: Time) -> Ordering {
    if x == y {
        return Ordering::Equal;
    }
    let step = |time: Time| match now.since(time) {
        ..=0 => -1,
        age => i64::from(age.ilog2()),
    };
    step(x)
        .cmp(&step(y))
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
}
