//! NamespaceLifecycle: nothing is made in a namespace that does not exist or is going away, and the system's
//! namespaces stay.

use keelson_api::status::{Cause, Status};

use super::fields::text;
use super::{Context, Operation, Request};
use crate::auth::resources::NAMESPACES;

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

pub fn admit(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    if request.kind.group.is_empty() && request.kind.plural == "namespaces" {
        let deletes = request.operation == Operation::Delete && request.subresource.is_empty();
        if deletes && IMMORTAL.contains(&request.name) {
            return Err(request.forbidden("this namespace may not be deleted"));
        }
        return Ok(());
    }
    let is_question = request.kind.group == "authorization.k8s.io";
    if request.namespace.is_empty() || request.operation == Operation::Delete || is_question {
        return Ok(());
    }
    let namespace = request.namespace;
    let Some(found) = context.reader.get(&NAMESPACES, "", namespace) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    if request.operation != Operation::Create {
        return Ok(());
    }
    let found = context.decoded.of(&found);
    let ends = text(&found, "/status/phase") == "Terminating"
        || !text(&found, "/metadata/deletionTimestamp").is_empty();
    if !ends {
        return Ok(());
    }
    let mut status = request.forbidden(&format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    ));
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        });
    }
    Err(status)
}
