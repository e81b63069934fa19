//! From where a volume can be reached.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{alike, list, object};

/// Labels of nodes that have other names by now.
const RENAMED: [(&str, &str); 5] = [
    (
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    (
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
    ),
];

/// Complaints about a change: it is said once, and only a label may get its new name (`validatePvNodeAffinity`).
pub(super) fn changed(old: &Value, new: &Value) -> Option<FieldError> {
    let at = |volume: &Value| {
        let affinity = volume["spec"]["nodeAffinity"].clone();
        Some(affinity).filter(Value::is_object)
    };
    let (mut was, is) = (at(old)?, at(new));
    if let Some(is) = &is {
        rename(&mut was, is);
    }
    let detail = "field is immutable, except for updating from beta label to GA";
    (!alike(Some(&was), is.as_ref()))
        .then(|| FieldError::invalid("nodeAffinity", is.unwrap_or_default(), detail))
}

/// Gives the labels in `was` their new names where they have them in `is`.
fn rename(was: &mut Value, is: &Value) {
    let Some(required) = object(was, "required") else {
        return;
    };
    for (term, requirements) in list(required, "nodeSelectorTerms").enumerate() {
        for group in ["matchExpressions", "matchFields"] {
            for (index, requirement) in list(requirements, group).enumerate() {
                let pointer = format!("/required/nodeSelectorTerms/{term}/{group}/{index}/key");
                let (Some(before), Some(after)) = (
                    requirement.get("key").and_then(Value::as_str),
                    is.pointer(&pointer).and_then(Value::as_str),
                ) else {
                    continue;
                };
                if RENAMED.contains(&(before, after)) {
                    let after = after.into();
                    requirement.insert("key".to_owned(), after);
                }
            }
        }
    }
}
