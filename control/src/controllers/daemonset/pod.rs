//! The pod of a DaemonSet, and the nodes that are right for it.

use serde_json::{Value, json};

use crate::controllers::model::{DaemonSet, Node, Toleration, controller_reference};
use crate::controllers::{api::resources, pods, revisions};
use crate::scheduler::{NodeView, PodView, matches_node};

/// The annotation with the generation of the template, a number that older controllers told pods apart by.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Taints that never keep a daemon away: nodes in trouble need their daemons most.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// The template with the daemon tolerations.
pub fn template(set: &DaemonSet) -> Value {
    let mut template = set.spec.template.value();
    let spec = &mut template["spec"];
    let host_network = spec["hostNetwork"].as_bool().unwrap_or(false);
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let network = host_network.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    for (key, effect) in TOLERATED.into_iter().chain(network) {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec["tolerations"] = tolerations.into();
    template
}

/// The pod for a node.
pub fn pod(set: &DaemonSet, template: &Value, hash: &str, node: &str) -> Value {
    let mut body = pods::from_template(
        template,
        &set.metadata.namespace,
        json!({"generateName": format!("{}-", set.metadata.name)}),
        &controller_reference(&set.metadata, resources::daemon_sets()),
    );
    let labels = &mut body["metadata"]["labels"];
    labels[revisions::HASH_LABEL] = hash.into();
    if let Some(generation) = set.metadata.annotations.get(TEMPLATE_GENERATION) {
        labels["pod-template-generation"] = generation.as_str().into();
    }
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
    let required =
        &mut body["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    match required["nodeSelectorTerms"].as_array_mut() {
        // Alternatives: each of them on this node only.
        Some(terms) if !terms.is_empty() => terms.iter_mut().for_each(|existing| {
            existing["matchFields"] = term["matchFields"].clone();
        }),
        _ => *required = json!({"nodeSelectorTerms": [term]}),
    }
    body
}

/// What to do on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// A pod should be made there.
    pub run: bool,
    /// A pod that is there may stay.
    pub stay: bool,
}

/// Whether a node is right for the template.
pub fn fit(template: &Value, node: &Node) -> Fit {
    let spec = json!({"metadata": {}, "spec": template["spec"]});
    let Ok(pod) = serde_json::from_value::<PodView>(spec) else {
        return Fit {
            run: false,
            stay: false,
        };
    };
    let view = NodeView {
        meta: node.metadata.clone(),
        ..NodeView::default()
    };
    let named = pod.node_name.is_empty() || pod.node_name == node.metadata.name;
    if !named || !matches_node(&pod, &view) {
        return Fit {
            run: false,
            stay: false,
        };
    }
    let tolerated = |taint: &&crate::controllers::model::Taint| {
        pod.tolerations
            .iter()
            .any(|toleration: &Toleration| taint.is_tolerated_by(toleration))
    };
    let repelled = |effects: &[&str]| {
        node.spec
            .taints
            .iter()
            .filter(|taint| effects.contains(&taint.effect.as_str()))
            .any(|taint| !tolerated(&taint))
    };
    Fit {
        run: !repelled(&["NoSchedule", "NoExecute"]),
        stay: !repelled(&["NoExecute"]),
    }
}
