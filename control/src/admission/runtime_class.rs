//! RuntimeClass: the overhead and the placement that a pod's runtimeClassName brings along.

use keelson_api::quantity::Quantity;
use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, list, map, text};
use super::{Context, Request};
use crate::auth::resources::RUNTIME_CLASSES;

pub fn admit(context: &Context, request: &mut Request<'_>) -> Result<(), Status> {
    if !request.creates("", "pods") {
        return Ok(());
    }
    let pod = request.object();
    let name = text(pod, "/spec/runtimeClassName");
    let given = &pod["spec"]["overhead"];
    if name.is_empty() {
        if given.as_object().is_some_and(|given| !given.is_empty()) {
            return Err(request.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            ));
        }
        return Ok(());
    }
    let Some(class) = context.reader.get(&RUNTIME_CLASSES, "", name) else {
        return Err(request.forbidden(&format!(
            "pod rejected: RuntimeClass {} not found",
            go_quote(name)
        )));
    };
    let class = context.decoded.of(&class);
    let overhead = &class["overhead"]["podFixed"];
    if !given.is_null() && !same_amounts(given, overhead) {
        return Err(
            request.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        );
    }
    for (key, value) in class["scheduling"]["nodeSelector"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let asked = &pod["spec"]["nodeSelector"][key.as_str()];
        if !asked.is_null() && asked != value {
            return Err(
                request.forbidden("conflict: runtimeClass.scheduling.nodeSelector and pod's nodeSelector")
            );
        }
    }
    let Some(pod) = request.object.as_deref_mut() else {
        return Ok(());
    };
    let Some(spec) = map(pod, "spec") else {
        return Ok(());
    };
    if !overhead.is_null() {
        spec.insert("overhead".to_owned(), overhead.clone());
    }
    if let Some(selector) = class["scheduling"]["nodeSelector"].as_object() {
        let own = spec.entry("nodeSelector").or_insert(Value::Null);
        if own.is_null() {
            *own = Value::Object(serde_json::Map::new());
        }
        if let Some(own) = own.as_object_mut() {
            own.extend(selector.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    let more = items(&class, "/scheduling/tolerations");
    if !more.is_empty() {
        let Some(tolerations) = list(spec, "tolerations") else {
            return Ok(());
        };
        for toleration in more {
            if !tolerations.contains(toleration) {
                tolerations.push(toleration.clone());
            }
        }
    }
    Ok(())
}

/// Whether both name the same resources with the same amounts, however these are written: `1` and `1000m`.
fn same_amounts(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    let amount = |value: &Value| Quantity::from_json(value).ok();
    one.len() == other.len()
        && one.iter().all(|(resource, value)| {
            other
                .get(resource)
                .is_some_and(|other| amount(value) == amount(other))
        })
}
