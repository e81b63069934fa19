//! What a ReplicaSet should do, decided over plain data.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/replicaset`.

use std::collections::HashMap;
use std::sync::Arc;

use super::rank;
use crate::controllers::model::{Condition, Pod, ReplicaSet, ReplicaSetStatus, Time};

/// Upper bound of pods created or deleted in one go.
pub const BURST: usize = 500;

/// The decision.
#[derive(Debug, Default)]
pub struct Plan {
    /// Pods to create.
    pub create: usize,
    /// Pods to delete, first victims first.
    pub delete: Vec<Arc<Pod>>,
}

/// Compares wanted and active pods. `related` counts, per node, the active pods of all ReplicaSets with the same
/// owner: where several run on one node, one of them goes first.
pub fn plan(set: &ReplicaSet, active: &[Arc<Pod>], related: &HashMap<String, usize>, now: Time) -> Plan {
    let wanted = usize::try_from(set.replicas()).unwrap_or(0);
    if active.len() < wanted {
        return Plan {
            create: (wanted - active.len()).min(BURST),
            delete: Vec::new(),
        };
    }
    let surplus = (active.len() - wanted).min(BURST);
    if surplus == 0 {
        return Plan::default();
    }
    let mut ranked = active.to_vec();
    ranked.sort_by(|a, b| rank::compare(a, b, related, now));
    ranked.truncate(surplus);
    Plan {
        create: 0,
        delete: ranked,
    }
}

/// The status for the pods seen. `failure` is why creating or deleting failed, as reason and message.
pub fn status(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    template_labels: &std::collections::BTreeMap<String, String>,
    failure: Option<(&str, String)>,
    now: Time,
) -> ReplicaSetStatus {
    let count = |wanted: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| wanted(pod)).count() as i64;
    let labelled = |pod: &Pod| {
        template_labels
            .iter()
            .all(|(key, value)| pod.metadata.labels.get(key) == Some(value))
    };
    let mut conditions: Vec<_> = set
        .status
        .conditions
        .iter()
        .filter(|c| c.kind != "ReplicaFailure")
        .cloned()
        .collect();
    if let Some((reason, message)) = failure {
        let known = Condition::find(&set.status.conditions, "ReplicaFailure");
        conditions.push(
            known
                .filter(|known| known.reason == reason)
                .cloned()
                .unwrap_or_else(|| Condition {
                    kind: "ReplicaFailure".to_owned(),
                    status: "True".to_owned(),
                    reason: reason.to_owned(),
                    message,
                    last_transition_time: Some(now),
                    ..Condition::default()
                }),
        );
    }
    ReplicaSetStatus {
        replicas: active.len() as i64,
        fully_labeled_replicas: count(&labelled),
        ready_replicas: count(&Pod::is_ready),
        available_replicas: count(&|pod| pod.is_available(set.spec.min_ready_seconds, now)),
        observed_generation: set.metadata.generation,
        conditions,
    }
}
