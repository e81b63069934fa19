//! What a pod's owner may change after its creation (`ValidatePodUpdate` and the subresources' kin).

use std::collections::{BTreeSet, HashSet};

use keelson_api::status::FieldError;
use serde_json::Value;

use super::{status, steering};
use crate::kinds::json::{int, items, text};
use crate::kinds::podspec;

const MIRROR: &str = "kubernetes.io/config.mirror";
/// Beginning of the annotations that name AppArmor profiles of containers, from before there was a field.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
                     to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
                     was previously negative)\n";

/// Complaints about what comes to a pod later, through the endpoints that are there for it.
pub(super) fn create(pod: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !items(pod, "/spec/ephemeralContainers").is_empty() {
        let detail = "cannot be set on create";
        errors.push(FieldError::forbidden("spec.ephemeralContainers", detail));
    }
    if !text(pod, "/spec/nodeName").is_empty() && !items(pod, "/spec/schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden("spec.nodeName", detail));
    }
    errors
}

/// Complaints about an update of the pod, or through one of its subresources.
pub(super) fn update(subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = annotations(old, new);
    errors.extend(match subresource {
        None => spec_update(old, new),
        Some("status") => status::update(old, new),
        Some("resize") => {
            let mut errors =
                podspec::validate_pod_spec(new.get("spec").unwrap_or(&Value::Null), "spec", true);
            if but_compute(old) != but_compute(new) {
                let detail = "only cpu and memory resources are mutable\n";
                errors.push(FieldError::forbidden("spec", detail));
            }
            errors.extend(resize(old, new));
            errors
        }
        Some("ephemeralcontainers") => ephemeral(old, new),
        Some(_) => Vec::new(),
    });
    errors
}

/// A pod stays a mirror pod, or none: what the node authorizer grants depends on it. And it keeps the AppArmor profiles
/// with which it was admitted.
fn annotations(old: &Value, new: &Value) -> Vec<FieldError> {
    let of = |pod: &Value, key: &str| {
        let value = pod["metadata"]["annotations"].get(key);
        value.filter(|value| !value.is_null()).cloned()
    };
    let keys: BTreeSet<&str> = [old, new]
        .into_iter()
        .filter_map(|pod| pod["metadata"]["annotations"].as_object())
        .flat_map(|map| map.keys().map(String::as_str))
        .filter(|key| *key == MIRROR || key.starts_with(APPARMOR))
        .collect();
    let mut errors = Vec::new();
    for key in keys {
        let (was, is) = (of(old, key), of(new, key));
        if was == is {
            continue;
        }
        let may_not = if was.is_none() { "add" } else { "remove or update" };
        let what = if key == MIRROR {
            "mirror pod annotation"
        } else {
            "AppArmor annotations"
        };
        errors.push(FieldError::forbidden(
            format!("metadata.annotations[{key}]"),
            &format!("may not {may_not} {what}"),
        ));
    }
    errors
}

fn spec_update(old: &Value, new: &Value) -> Vec<FieldError> {
    if old.get("spec") == new.get("spec") {
        return Vec::new();
    }
    let mut errors = podspec::validate_pod_spec(new.get("spec").unwrap_or(&Value::Null), "spec", true);
    let mut comparable = new.clone();
    for list in ["containers", "initContainers"] {
        let pointer = format!("/spec/{list}");
        let (was, is) = (items(old, &pointer), items(new, &pointer));
        if was.len() != is.len() {
            let what = if list == "containers" {
                "containers"
            } else {
                "init containers"
            };
            let detail = format!("pod updates may not add or remove {what}");
            return vec![FieldError::forbidden(format!("spec.{list}"), &detail)];
        }
        for (index, container) in is.iter().enumerate() {
            let image = text(container, "/image");
            if image.trim() != image || image.is_empty() {
                let missing = FieldError::required(format!("spec.{list}[{index}].image"), "");
                if !errors.contains(&missing) {
                    errors.push(missing);
                }
            }
            put_back(&mut comparable, old, &format!("{pointer}/{index}/image"));
        }
    }
    deadline(&mut errors, old, new);
    tolerations(&mut errors, old, new);
    gates(&mut errors, old, new);
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        put_back(&mut comparable, old, &format!("/spec/{field}"));
    }
    if int(old, "/spec/terminationGracePeriodSeconds").is_some_and(|grace| grace < 0)
        && int(new, "/spec/terminationGracePeriodSeconds") == Some(1)
    {
        put_back(&mut comparable, old, "/spec/terminationGracePeriodSeconds");
    }
    if !items(old, "/spec/schedulingGates").is_empty() {
        steering::check(&mut errors, old, new);
        steering::put_back(&mut comparable, old);
    }
    if comparable.get("spec") != old.get("spec") {
        errors.push(FieldError::forbidden("spec", FIXED));
    }
    errors
}

/// Copies what is at a pointer in `old` over what is there in `new`; removes it if `old` has nothing.
fn put_back(new: &mut Value, old: &Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    let Some(map) = new.pointer_mut(parent).and_then(Value::as_object_mut) else {
        return;
    };
    match old.pointer(pointer) {
        Some(value) => drop(map.insert(key.to_owned(), value.clone())),
        None => drop(map.remove(key)),
    }
}

fn deadline(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let pointer = "/spec/activeDeadlineSeconds";
    match (int(old, pointer), int(new, pointer)) {
        // As a change it may be zero; that no spec may have it, the checks of the new one tell.
        (_, Some(seconds)) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            let detail = keelson_api::names::range(0, i32::MAX.into());
            errors.push(FieldError::invalid(
                "spec.activeDeadlineSeconds",
                seconds,
                &detail,
            ));
        }
        (Some(was), Some(is)) if was < is => {
            let detail = "must be less than or equal to previous value";
            errors.push(FieldError::invalid("spec.activeDeadlineSeconds", is, detail));
        }
        (Some(_), None) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(
                "spec.activeDeadlineSeconds",
                Value::Null,
                detail,
            ));
        }
        _ => {}
    }
}

fn tolerations(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let but_seconds = |toleration: &Value| {
        ["key", "operator", "value", "effect"].map(|field| toleration.get(field).map(Value::to_string))
    };
    let new_ones: HashSet<_> = items(new, "/spec/tolerations").iter().map(but_seconds).collect();
    let kept = items(old, "/spec/tolerations")
        .iter()
        .all(|toleration| new_ones.contains(&but_seconds(toleration)));
    if !kept {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden("spec.tolerations", detail));
    }
}

fn gates(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let known: HashSet<&str> = items(old, "/spec/schedulingGates")
        .iter()
        .map(|gate| text(gate, "/name"))
        .collect();
    for (index, gate) in items(new, "/spec/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        if !known.contains(name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(
                format!("spec.schedulingGates[{index}].name"),
                &detail,
            ));
        }
    }
}

/// Ephemeral containers may be added, nothing else.
fn ephemeral(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = podspec::validate_pod_spec(new.get("spec").unwrap_or(&Value::Null), "spec", true);
    let pointer = "/spec/ephemeralContainers";
    for was in items(old, pointer) {
        let name = text(was, "/name");
        match items(new, pointer).iter().find(|is| text(is, "/name") == name) {
            None => {
                let detail = format!("existing ephemeral containers \"{name}\" may not be removed\n");
                errors.push(FieldError::forbidden("spec.ephemeralContainers", &detail));
            }
            Some(is) if is != was => {
                let detail = format!("existing ephemeral containers \"{name}\" may not be changed\n");
                errors.push(FieldError::forbidden("spec.ephemeralContainers", &detail));
            }
            Some(_) => {}
        }
    }
    errors
}

/// The spec without what a resize may change: cpu and memory of containers and sidecars.
fn but_compute(pod: &Value) -> Value {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if list == "containers" || text(container, "/restartPolicy") == "Always" {
                remove_compute(container);
            }
        }
    }
    spec
}

/// Removes cpu and memory, and what is empty without them.
fn remove_compute(container: &mut Value) {
    let Some(container) = container.as_object_mut() else {
        return;
    };
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else {
        return;
    };
    for kind in ["limits", "requests"] {
        if let Some(amounts) = resources.get_mut(kind).and_then(Value::as_object_mut) {
            amounts.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
            if amounts.is_empty() {
                resources.remove(kind);
            }
        }
    }
    if resources.is_empty() {
        container.remove("resources");
    }
}

/// What a resize may not come to (`ValidatePodResize`): another class, and limits that are gone.
fn resize(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let class = |pod: &Value| podspec::qos_class(pod.get("spec").unwrap_or(&Value::Null));
    if class(old) != class(new) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid("spec", text(new, "/status/qosClass"), detail));
    }
    for list in ["containers", "initContainers"] {
        let pointer = format!("/spec/{list}");
        for (index, (was, is)) in items(old, &pointer).iter().zip(items(new, &pointer)).enumerate() {
            for kind in ["limits", "requests"] {
                let amounts = |container: &Value| container.pointer(&format!("/resources/{kind}")).cloned();
                let (was, is) = (amounts(was).unwrap_or_default(), amounts(is).unwrap_or_default());
                let gone = ["cpu", "memory"]
                    .iter()
                    .any(|resource| was.get(resource).is_some() && is.get(resource).is_none());
                if gone {
                    let path = format!("spec.{list}[{index}].resources.{kind}");
                    let detail = format!("resource {kind} cannot be removed");
                    errors.push(FieldError::forbidden(path, &detail));
                }
            }
        }
    }
    errors
}
