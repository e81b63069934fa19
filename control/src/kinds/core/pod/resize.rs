//! What the resources of a pod's containers become without a new pod (`dropNonResizeUpdates`, `ValidatePodResize`; KEP 1287).

use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::{Map, Value};

use crate::kinds::json::{alike, is_unset, items, text};
use crate::kinds::podspec::{self, annotations::MIRROR};
use crate::kinds::update;

const LISTS: [&str; 2] = ["containers", "initContainers"];
/// What may change of a container here.
const FIELDS: [&str; 2] = ["resources", "resizePolicy"];

fn list<'a>(pod: &'a Value, name: &str) -> &'a [Value] {
    items(&pod["spec"][name], "")
}

/// Takes from a request what this endpoint is there for; the rest of the spec stays. Containers that came, went or have
/// another name are left, so that the request is refused and not understood as something else.
pub(super) fn prepare(old: &Value, new: &mut Value) {
    if LISTS
        .iter()
        .any(|name| list(old, name).len() != list(new, name).len())
    {
        return;
    }
    let merged = LISTS.map(|name| merged(list(old, name), list(new, name)));
    update::keep(old, new, "spec");
    for (name, containers) in LISTS.iter().zip(merged) {
        if !containers.is_empty() {
            new["spec"][*name] = containers.into();
        }
    }
}

fn merged(old: &[Value], new: &[Value]) -> Vec<Value> {
    let mut pairs = old.iter().zip(new);
    if pairs.any(|(old, new)| text(old, "/name") != text(new, "/name")) {
        return new.to_vec();
    }
    let merge = |(old, new): (&Value, &Value)| {
        let mut container = old.clone();
        for field in FIELDS {
            update::keep(new, &mut container, field);
        }
        container
    };
    old.iter().zip(new).map(merge).collect()
}

/// Complaints about a resize.
pub(super) fn check(old: &Value, new: &Value) -> Vec<FieldError> {
    if let Some(why) = unfit(old, new) {
        // Upstream's path of no field at all.
        return vec![FieldError::forbidden("[]", why)];
    }
    let spec = |pod: &Value| pod.get("spec").cloned().unwrap_or_default();
    let mut errors = podspec::validate_pod_spec(&spec(new), "spec", true);
    let class = match text(old, "/status/qosClass") {
        "" => podspec::qos_class(&spec(old)),
        class => class,
    };
    if class != podspec::qos_class(&spec(new)) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid("spec", text(new, "/status/qosClass"), detail));
    }
    if !is_supported(old) {
        let detail = "Pod running on node without support for resize";
        errors.push(FieldError::forbidden("spec", detail));
    }
    let before = errors.len();
    for name in LISTS {
        same_containers(&mut errors, name, list(old, name), list(new, name));
    }
    // What follows compares containers one by one.
    if errors.len() > before {
        return errors;
    }
    for name in LISTS {
        for (index, (was, is)) in list(old, name).iter().zip(list(new, name)).enumerate() {
            if name == "containers" || is_sidecar(was) {
                removed(&mut errors, was, is, &format!("spec.{name}[{index}].resources"));
            }
        }
    }
    for name in LISTS {
        for (was, is) in list(old, name).iter().zip(list(new, name)) {
            immutable(&mut errors, name, was, is);
        }
    }
    if errors.is_empty() && !alike(Some(&without_containers(old)), Some(&without_containers(new))) {
        let detail = "only cpu and memory resources are mutable";
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors
}

/// Why a pod is not resized at all.
fn unfit(old: &Value, new: &Value) -> Option<&'static str> {
    let as_a_whole = |pod: &Value| {
        let resources = &pod["spec"]["resources"];
        ["requests", "limits"]
            .iter()
            .any(|kind| !is_unset(resources.get(*kind)))
    };
    if as_a_whole(old) || as_a_whole(new) {
        Some("pods with pod-level resources cannot be resized")
    } else if old["metadata"]["annotations"].get(MIRROR).is_some() {
        Some("static pods cannot be resized")
    } else if text(old, "/spec/os/name") == "windows" {
        Some("windows pods cannot be resized")
    } else {
        None
    }
}

/// Whether the node tells what its containers have. Of a pod of which nothing runs that is not known.
fn is_supported(pod: &Value) -> bool {
    let mut statuses = items(pod, "/status/containerStatuses").iter();
    statuses
        .find(|status| status["state"]["running"].is_object())
        .is_none_or(|status| status["resources"].is_object())
}

fn same_containers(errors: &mut Vec<FieldError>, name: &str, old: &[Value], new: &[Value]) {
    let path = format!("spec.{name}");
    if old.len() != new.len() {
        let detail = format!("{name} may not be added or removed on resize");
        errors.push(FieldError::forbidden(path, &detail));
        return;
    }
    for (index, (was, is)) in old.iter().zip(new).enumerate() {
        if text(was, "/name") != text(is, "/name") {
            let detail = format!("{name} may not be renamed or reordered on resize");
            errors.push(FieldError::forbidden(format!("{path}[{index}].name"), &detail));
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "/restartPolicy") == "Always"
}

/// What a container had it keeps, if not as much of it; memory that may be in use is not taken away from under it.
fn removed(errors: &mut Vec<FieldError>, old: &Value, new: &Value, path: &str) {
    for kind in ["requests", "limits"] {
        let amounts = |container: &Value| container["resources"][kind].as_object().cloned();
        let (was, is) = (amounts(old).unwrap_or_default(), amounts(new).unwrap_or_default());
        if was.keys().any(|resource| !is.contains_key(resource)) {
            let detail = format!("resource {kind} cannot be removed");
            errors.push(FieldError::forbidden(format!("{path}.{kind}"), &detail));
        }
    }
    let restarts = items(new, "/resizePolicy")
        .iter()
        .find(|rule| text(rule, "/resourceName") == "memory")
        .is_some_and(|rule| !matches!(text(rule, "/restartPolicy"), "" | "NotRequired"));
    let memory = |container: &Value| Quantity::from_json(&container["resources"]["limits"]["memory"]).ok();
    if !restarts
        && let (Some(was), Some(is)) = (memory(old), memory(new))
        && is < was
    {
        let detail = "memory limits cannot be decreased unless resizePolicy is RestartContainer";
        errors.push(FieldError::forbidden(format!("{path}.limits[memory]"), detail));
    }
}

fn immutable(errors: &mut Vec<FieldError>, name: &str, old: &Value, new: &Value) {
    let detail = match name {
        "containers" => "only cpu and memory resources are mutable",
        _ if is_sidecar(new) => "only cpu and memory resources for sidecar containers are mutable",
        _ => "resources for non-sidecar init containers are immutable",
    };
    let mut comparable = new.clone();
    if name == "containers" || is_sidecar(new) {
        put_back_compute(&mut comparable, old);
    }
    if !alike(Some(&comparable), Some(old)) {
        errors.push(FieldError::forbidden("spec", detail));
    }
}

/// Gives `new` the cpu and the memory that `old` has. Lists that are new may have anything, as upstream.
fn put_back_compute(new: &mut Value, old: &Value) {
    for kind in ["limits", "requests"] {
        let was = &old["resources"][kind];
        let mut amounts = Map::new();
        if was.is_object() {
            amounts = new["resources"][kind].as_object().cloned().unwrap_or_default();
            for resource in ["cpu", "memory"] {
                match was.get(resource) {
                    Some(amount) => drop(amounts.insert(resource.to_owned(), amount.clone())),
                    None => drop(amounts.remove(resource)),
                }
            }
        }
        new["resources"][kind] = amounts.into();
    }
}

fn without_containers(pod: &Value) -> Value {
    let mut spec = pod["spec"].as_object().cloned().unwrap_or_default();
    spec.retain(|field, _| !LISTS.contains(&field.as_str()));
    spec.into()
}
