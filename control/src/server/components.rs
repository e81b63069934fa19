//! `componentstatuses`: made for the answer of what the health checks know (`pkg/registry/core/componentstatus`).

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::{Details, Status};
use serde_json::json;

use super::body::Body;
use super::call::Call;
use super::select::Selection;
use super::{encode, options, read, respond};
use crate::kinds::Kind;
use crate::object::Object;

/// Whether this is the kind.
pub fn is(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "componentstatuses"
}

/// Serves `get` and `list`. A watch comes to the same handler upstream, which says why it cannot be.
pub fn serve(call: &Call, verb: &str) -> Result<Response<Body>, Status> {
    if verb == "watch" {
        let message = "watch is not supported on resources of kind \"componentstatuses\"";
        let details = Details {
            kind: "componentstatuses".to_owned(),
            ..Details::default()
        };
        return Err(Status::failure(405, "MethodNotAllowed", message, Some(details)));
    }
    let health = &call.api.health;
    let all = [
        ("controller-manager", health.is_ready("controllers")),
        ("scheduler", health.is_ready("scheduler")),
        ("etcd-0", call.api.store.is_healthy()),
    ];
    if verb == "list" {
        options::list(&call.query)?;
        let selection = Selection::parse(call.kind(), &call.query)?;
        let objects = all.map(|(name, healthy)| Arc::new(component(call.kind(), name, healthy)));
        let selected = objects.into_iter().filter(|object| selection.matches(object));
        return read::list::unpaged(call, selected.collect());
    }
    let name = call.path.name.as_str();
    let Some((name, healthy)) = all.into_iter().find(|(known, _)| *known == name) else {
        return Err(Status::not_found("", "componentstatuses", name));
    };
    let object = component(call.kind(), name, healthy);
    Ok(respond::object(call, StatusCode::OK, &object, &[]))
}

fn component(kind: &Kind, name: &str, healthy: bool) -> Object {
    let (status, said) = if healthy {
        ("True", "message")
    } else {
        ("False", "error")
    };
    let text = if healthy { "ok" } else { "the component is not up" };
    let mut condition = json!({"type": "Healthy", "status": status});
    condition[said] = text.into();
    encode::object(
        kind,
        &json!({
            "apiVersion": "v1", "kind": "ComponentStatus",
            "metadata": {"name": name, "creationTimestamp": null}, "conditions": [condition],
        }),
    )
}
