//! What a pod's owner may change after its creation (`ValidatePodUpdate` and the subresources' kin).

use std::collections::{BTreeSet, HashSet};

use keelson_api::status::FieldError;
use serde_json::Value;

use super::{resize, status, steering};
use crate::kinds::json::{int, items, text};
use crate::kinds::podspec::annotations::{self as annotated, MIRROR};
use crate::kinds::podspec::{self, apparmor};

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
    let spec = &pod["spec"];
    annotated::check(&mut errors, pod, spec, format_args!("metadata.annotations"));
    annotated::agree(&mut errors, pod, spec, format_args!("spec"));
    errors
}

/// Complaints about an update of the pod, or through one of its subresources.
pub(super) fn update(subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = annotations(old, new);
    errors.extend(match subresource {
        None => spec_update(old, new),
        Some("status") => status::update(old, new),
        Some("resize") => resize::check(old, new),
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
        .filter(|key| *key == MIRROR || key.starts_with(apparmor::ANNOTATION))
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
    annotated::check(
        &mut errors,
        new,
        &new["spec"],
        format_args!("metadata.annotations"),
    );
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
            // Of both lists in the same words.
            let detail = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(format!("spec.{list}"), detail));
            return errors;
        }
        for index in 0..is.len() {
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

/// Ephemeral containers may be added, nothing else, and not to what the node runs by itself.
fn ephemeral(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["metadata"]["annotations"].get(MIRROR).is_some() {
        // Upstream's path of no field at all.
        let detail = "static pods do not support ephemeral containers";
        return vec![FieldError::forbidden("[]", detail)];
    }
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
