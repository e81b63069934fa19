//! LimitRanger: the defaults and bounds of resources that a namespace's LimitRanges set.

use keelson_api::quantity::Quantity;
use keelson_api::status::Status;
use serde_json::{Map, Value};

use super::fields::{items, map, text};
use super::pod_resources::{Amounts, amounts, total};
use super::{Context, Operation, Request};
use crate::auth::resources::LIMIT_RANGES;

/// Most bytes, about, of all defaults and bounds for all containers of a pod: pods have ten containers, and LimitRanges name
/// ten resources.
const MOST: usize = 8 << 20;
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// The items of all LimitRanges of the namespace.
fn limits(context: &Context, namespace: &str) -> Vec<Value> {
    let ranges = context.reader.list(&LIMIT_RANGES, Some(namespace));
    ranges
        .iter()
        .flat_map(|range| items(&context.decoded.of(range), "/spec/limits").to_vec())
        .collect()
}

/// Refuses pods that limits of so many resources for so many containers would make huge, or take minutes to check.
fn check_extent(request: &Request<'_>, limits: &[Value]) -> Result<(), Status> {
    let count = |list: &str| items(request.object(), list).len();
    let containers = count("/spec/containers") + count("/spec/initContainers");
    let bytes = |(name, amount): (&String, &Value)| 64 + name.len() + amount.as_str().map_or(0, str::len);
    let of_one: usize = limits
        .iter()
        .filter(|limit| text(limit, "/type") == "Container")
        .flat_map(|limit| {
            ["default", "defaultRequest", "max", "maxLimitRequestRatio", "min"].map(|list| &limit[list])
        })
        .flat_map(|list| list.as_object().into_iter().flatten().map(bytes))
        .sum();
    if of_one.saturating_mul(containers) <= MOST {
        return Ok(());
    }
    Err(request.forbidden(&format!(
        "the LimitRanges of the namespace name too many resources for a pod of {containers} containers"
    )))
}

/// Fills in the defaults of containers that name no amounts.
pub fn mutate(context: &Context, request: &mut Request<'_>) -> Result<(), Status> {
    if !request.creates("", "pods") {
        return Ok(());
    }
    let limits = limits(context, request.namespace);
    check_extent(request, &limits)?;
    let Some(pod) = request.object.as_deref_mut().filter(|_| !limits.is_empty()) else {
        return Ok(());
    };
    let mut notes = Vec::new();
    for limit in limits.iter().filter(|limit| text(limit, "/type") == "Container") {
        for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = map(pod, "spec")
                .and_then(|spec| spec.get_mut(list))
                .and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let name = text(container, "/name").to_owned();
                let Some(resources) = map(container, "resources") else {
                    continue;
                };
                let requests = fill(resources, "requests", &limit["defaultRequest"]);
                let limits = fill(resources, "limits", &limit["default"]);
                for (set, kind) in [(requests, "request"), (limits, "limit")] {
                    if !set.is_empty() {
                        notes.push(format!("{} {kind} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if notes.is_empty() {
        return Ok(());
    }
    if let Some(metadata) = map(pod, "metadata") {
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if annotations.is_null() {
            *annotations = Value::Object(Map::new());
        }
        if let Some(annotations) = annotations.as_object_mut() {
            let note = format!("LimitRanger plugin set: {}", notes.join("; "));
            annotations.insert(ANNOTATION.to_owned(), note.into());
        }
    }
    Ok(())
}

/// Sets the amounts of `defaults` that are missing under `which`; their names.
fn fill(resources: &mut Map<String, Value>, which: &str, defaults: &Value) -> Vec<String> {
    let Some(defaults) = defaults.as_object().filter(|defaults| !defaults.is_empty()) else {
        return Vec::new();
    };
    let slot = resources.entry(which).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    let Some(slot) = slot.as_object_mut() else {
        return Vec::new();
    };
    let missing: Vec<String> = defaults
        .keys()
        .filter(|name| !slot.contains_key(*name))
        .cloned()
        .collect();
    for name in &missing {
        slot.insert(name.clone(), defaults[name].clone());
    }
    missing
}

/// Refuses what is outside of the bounds.
pub fn validate(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let is_claim = request.is("", "persistentvolumeclaims")
        && matches!(request.operation, Operation::Create | Operation::Update);
    // What a pod asks for is changed by its resize only.
    let resizes = request.operation == Operation::Update
        && request.kind.group.is_empty()
        && request.kind.plural == "pods"
        && request.subresource == "resize";
    let is_pod = request.creates("", "pods") || resizes;
    if !is_claim && !is_pod {
        return Ok(());
    }
    let object = request.object();
    let mut problems = Vec::new();
    let limits = limits(context, request.namespace);
    if is_pod {
        check_extent(request, &limits)?;
    }
    for limit in limits {
        match text(&limit, "/type") {
            "Container" if is_pod => {
                for list in ["/spec/containers", "/spec/initContainers"] {
                    for container in items(object, list) {
                        let of = |which: &str| amounts(&container["resources"][which]);
                        check(&limit, &of("requests"), &of("limits"), &mut problems);
                    }
                }
            }
            "Pod" if is_pod => check(
                &limit,
                &total(object, "requests"),
                &total(object, "limits"),
                &mut problems,
            ),
            "PersistentVolumeClaim" if is_claim => {
                claim(
                    &limit,
                    &amounts(&object["spec"]["resources"]["requests"]),
                    &mut problems,
                );
            }
            _ => {}
        }
    }
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(request.forbidden(one)),
        many => Err(request.forbidden(&format!("[{}]", many.join(", ")))),
    }
}

fn check(limit: &Value, requests: &Amounts, limits: &Amounts, problems: &mut Vec<String>) {
    let what = text(limit, "/type");
    for (name, least) in amounts(&limit["min"]) {
        let intro = format!("minimum {name} usage per {what} is {least}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => problems.push(format!("{intro}.  No request is specified")),
            (Some(request), _) if *request < least => {
                problems.push(format!("{intro}, but request is {request}"));
            }
            (_, Some(limit)) if *limit < least => problems.push(format!("{intro}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["max"]) {
        let intro = format!("maximum {name} usage per {what} is {most}");
        match (requests.get(&name), limits.get(&name)) {
            (_, None) => problems.push(format!("{intro}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => problems.push(format!("{intro}, but limit is {limit}")),
            (Some(request), _) if *request > most => {
                problems.push(format!("{intro}, but request is {request}"));
            }
            _ => {}
        }
    }
    for (name, ratio) in amounts(&limit["maxLimitRequestRatio"]) {
        let intro = format!("{name} max limit to request ratio per {what} is {ratio}");
        let some = |amount: Option<&Quantity>| amount.filter(|amount| !amount.is_zero()).copied();
        match (some(requests.get(&name)), some(limits.get(&name))) {
            (None, _) => problems.push(format!("{intro}, but no request is specified or request is 0")),
            (_, None) => problems.push(format!("{intro}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let provided = limit.as_f64() / request.as_f64();
                if provided > ratio.as_f64() {
                    problems.push(format!("{intro}, but provided ratio is {provided:.6}"));
                }
            }
        }
    }
}

fn claim(limit: &Value, requests: &Amounts, problems: &mut Vec<String>) {
    let what = text(limit, "/type");
    for (bound, word) in [("min", "minimum"), ("max", "maximum")] {
        for (name, enforced) in amounts(&limit[bound]) {
            let intro = format!("{word} {name} usage per {what} is {enforced}");
            match requests.get(&name) {
                None => problems.push(format!("{intro}.  No request is specified")),
                Some(request)
                    if (bound == "min" && *request < enforced) || (bound == "max" && *request > enforced) =>
                {
                    problems.push(format!("{intro}, but request is {request}"));
                }
                Some(_) => {}
            }
        }
    }
}
