//! OwnerReferencesPermissionEnforcement: nobody blocks the deletion of an object that they could not touch.

use std::collections::HashSet;

use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Operation, Request};
use crate::auth::Attributes;

pub fn validate(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    // What kubelets write of their pods' status names no owners: the strategy keeps those that there are.
    let of_kubelets =
        request.kind.group.is_empty() && request.kind.plural == "pods" && request.subresource == "status";
    if of_kubelets || !matches!(request.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    let (old, new) = (items(request.stored(), OWNERS), items(request.object(), OWNERS));
    if old == new {
        return Ok(());
    }
    // Who makes an object owns it; who changes the owners of an existing one could have it collected.
    if request.operation == Operation::Update {
        let attributes = Attributes {
            namespace: request.namespace,
            name: request.name,
            subresource: request.subresource,
            ..Attributes::resource(request.user, "delete", &request.kind.group, &request.kind.plural)
        };
        let decision = context.authorizer.authorize(&attributes);
        if !decision.is_allowed() {
            return Err(request.forbidden(&format!(
                "cannot set an ownerRef on a resource you can't delete: {}",
                decision.reason()
            )));
        }
    }
    let known: HashSet<String> = old.iter().map(Value::to_string).collect();
    for owner in new
        .iter()
        .filter(|owner| owner["blockOwnerDeletion"] == true && !known.contains(&owner.to_string()))
    {
        blocking(context, request, owner)?;
    }
    Ok(())
}

const OWNERS: &str = "/metadata/ownerReferences";

fn blocking(context: &Context, request: &Request<'_>, owner: &Value) -> Result<(), Status> {
    let (version, kind) = (text(owner, "/apiVersion"), text(owner, "/kind"));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let known = crate::kinds::builtin()
        .iter()
        .find(|known| known.group == group && known.kind == kind);
    // The kind may be a custom one, whose plural this does not know: `*` asks for the right on all of the group.
    let resource = known.map_or("*", |known| &known.plural);
    let attributes = Attributes {
        subresource: "finalizers",
        namespace: if known.is_some_and(|known| !known.namespaced) {
            ""
        } else {
            request.namespace
        },
        name: text(owner, "/name"),
        ..Attributes::resource(request.user, "update", group, resource)
    };
    let decision = context.authorizer.authorize(&attributes);
    if decision.is_allowed() {
        return Ok(());
    }
    Err(request.forbidden(&format!(
        "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {}, {} {}",
        decision.reason(),
        kind,
        go_quote(text(owner, "/name"))
    )))
}
