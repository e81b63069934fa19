//! Labels of nodes that have other names by now.

use serde_json::Value;
use std::fmt::Arguments;

use super::MOST;
use crate::kinds::json::{items, text};

/// What is said of a deprecated label of nodes.
pub(super) fn deprecated(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => {
            "deprecated since v1.22; use Taints and Tolerations instead"
        }
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// Of a map of labels that nodes must have, at a path.
pub(super) fn selector(warnings: &mut Vec<String>, path: Arguments<'_>, selector: &Value) {
    for key in selector.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if let Some(why) = deprecated(key) {
            warnings.push(format!("{path}[{key}]: {why}"));
        }
    }
}

/// Of a term of a node affinity, at a path.
pub(super) fn term(warnings: &mut Vec<String>, path: Arguments<'_>, term: &Value) {
    for (index, expression) in items(term, "/matchExpressions").iter().enumerate() {
        let key = text(expression, "/key");
        if let Some(why) = deprecated(key) {
            warnings.push(format!("{path}.matchExpressions[{index}].key: {key} is {why}"));
        }
    }
}

/// Of a RuntimeClass. (Upstream does not tell the key.)
pub(super) fn runtime_class(warnings: &mut Vec<String>, class: &Value) {
    let selector = class["scheduling"]["nodeSelector"].as_object();
    let reasons = selector
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| deprecated(key));
    warnings.extend(reasons.map(|why| format!("scheduling.nodeSelector: {why}")));
}

/// Of a StorageClass.
pub(super) fn storage_class(warnings: &mut Vec<String>, class: &Value) {
    for (index, topology) in items(class, "/allowedTopologies").iter().enumerate().take(MOST) {
        for (place, expression) in items(topology, "/matchLabelExpressions").iter().enumerate() {
            if let Some(why) = deprecated(text(expression, "/key")) {
                warnings.push(format!(
                    "allowedTopologies[{index}].matchLabelExpressions[{place}]: {why}"
                ));
            }
        }
    }
}
