//! Whether a pod can run on a node, and if not, why, in upstream's words.

use super::pod::PodView;
use super::snapshot::{NodeState, NodeView};
use crate::controllers::model::{Taint, Toleration};

/// Why a node is out of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Messages, e.g. `Insufficient cpu`.
    pub reasons: Vec<String>,
    /// Taking other pods away could help.
    pub resolvable: bool,
}

impl Refusal {
    /// One reason.
    pub fn new(reason: impl Into<String>, resolvable: bool) -> Self {
        Self {
            reasons: vec![reason.into()],
            resolvable,
        }
    }
}

/// Checks that need only the pod and the node, in upstream's order.
pub fn filter(pod: &PodView, state: &NodeState, node: &NodeView) -> Result<(), Refusal> {
    if node.unschedulable && !tolerates_cordon(&pod.tolerations) {
        return Err(Refusal::new("node(s) were unschedulable", false));
    }
    if let Some(taint) = untolerated(&node.taints, &pod.tolerations) {
        let reason = format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value);
        return Err(Refusal::new(reason, false));
    }
    if !matches_node(pod, node) {
        return Err(Refusal::new(
            "node(s) didn't match Pod's node affinity/selector",
            false,
        ));
    }
    if state.ports.has_any(&pod.host_ports) {
        return Err(Refusal::new(
            "node(s) didn't have free ports for the requested pod ports",
            true,
        ));
    }
    fits(pod, state, node)
}

fn tolerates_cordon(tolerations: &[Toleration]) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    tolerations
        .iter()
        .any(|toleration| taint.is_tolerated_by(toleration))
}

/// The first taint that keeps the pod away.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
        .find(|taint| {
            !tolerations
                .iter()
                .any(|toleration| taint.is_tolerated_by(toleration))
        })
}

/// Node selector and required node affinity.
pub fn matches_node(pod: &PodView, node: &NodeView) -> bool {
    let labels = &node.meta.labels;
    pod.node_selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && pod
            .affinity
            .node_affinity
            .required
            .as_ref()
            .is_none_or(|required| {
                required
                    .node_selector_terms
                    .iter()
                    .any(|term| term.matches(&node.meta.name, labels))
            })
}

/// Resources and the number of pods. All that is missing is reported.
fn fits(pod: &PodView, state: &NodeState, node: &NodeView) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let mut resolvable = true;
    if state.pods.len() as i64 + 1 > node.pods {
        reasons.push("Too many pods".to_owned());
    }
    let mut check = |name: &str, wanted: i64, used: i64, total: i64| {
        if wanted > 0 && wanted > total.saturating_sub(used) {
            reasons.push(format!("Insufficient {name}"));
            resolvable &= wanted <= total;
        }
    };
    let (request, used, total) = (&pod.request, &state.used, &node.allocatable);
    check("cpu", request.cpu, used.cpu, total.cpu);
    check("memory", request.memory, used.memory, total.memory);
    check("ephemeral-storage", request.storage, used.storage, total.storage);
    for (name, wanted) in &request.other {
        check(name, *wanted, used.other(name), total.other(name));
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Refusal { reasons, resolvable })
    }
}
