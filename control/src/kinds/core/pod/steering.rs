//! How a pod that waits behind scheduling gates may still be steered: to fewer nodes than before, never to others
//! (`ValidatePodUpdate` of a gated pod; KEP 3838).

use keelson_api::status::FieldError;
use serde_json::{Map, Value};

use crate::kinds::json::items;

const TERMS: &str =
    "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
const TERMS_PATH: &str =
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";

/// Complaints about changes of the node selector and of the node affinity. What is only preferred may change freely.
pub(super) fn check(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let selector = |pod: &Value| {
        pod["spec"]["nodeSelector"]
            .as_object()
            .cloned()
            .unwrap_or_default()
    };
    let (was, is) = (selector(old), selector(new));
    if was.iter().any(|(key, value)| is.get(key) != Some(value)) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(FieldError::invalid("spec.nodeSelector", Value::from(is), detail));
    }
    // Terms are alternatives, and what is demanded within one is demanded together.
    let (was, is) = (items(old, TERMS), items(new, TERMS));
    if was.is_empty() {
        return;
    }
    if was.len() != is.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(FieldError::invalid(TERMS_PATH, Value::from(is), detail));
        return;
    }
    for (index, (was, is)) in was.iter().zip(is).enumerate() {
        if !narrows(was, is) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::invalid(
                format!("{TERMS_PATH}[{index}]"),
                is.clone(),
                detail,
            ));
        }
    }
}

/// Whether a term demands what it has demanded, and possibly more.
fn narrows(was: &Value, is: &Value) -> bool {
    let parts = ["/matchExpressions", "/matchFields"];
    // A term that demands nothing selects no node; with a demand it would select some.
    if parts.iter().all(|part| items(was, part).is_empty()) {
        return parts.iter().all(|part| items(is, part).is_empty());
    }
    parts
        .iter()
        .all(|part| items(is, part).starts_with(items(was, part)))
}

/// Gives `new` the node selector and the node affinity of `old`, so that the rest can be compared.
pub(super) fn put_back(new: &mut Value, old: &Value) {
    let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    restore(spec, "nodeSelector", old.pointer("/spec/nodeSelector"));
    let was = old.pointer("/spec/affinity/nodeAffinity");
    if was.is_some() && !spec.get("affinity").is_some_and(Value::is_object) {
        spec.insert("affinity".to_owned(), Value::Object(Map::new()));
    }
    let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) else {
        return;
    };
    restore(affinity, "nodeAffinity", was);
    if affinity.is_empty() && old.pointer("/spec/affinity").is_none() {
        spec.remove("affinity");
    }
}

fn restore(map: &mut Map<String, Value>, field: &str, was: Option<&Value>) {
    match was {
        Some(value) => drop(map.insert(field.to_owned(), value.clone())),
        None => drop(map.remove(field)),
    }
}
