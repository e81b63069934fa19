//! PersistentVolumeClaimResize: a claim grows only when it is bound and its class says that its volumes can.

use keelson_api::quantity::Quantity;
use keelson_api::status::Status;
use serde_json::Value;

use super::fields::text;
use super::{Context, Operation, Request};
use crate::auth::resources::STORAGE_CLASSES;

pub fn validate(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    if request.operation != Operation::Update || !request.is("", "persistentvolumeclaims") {
        return Ok(());
    }
    let (old, new) = (request.stored(), request.object());
    let size = |claim: &Value| {
        let asked = claim.pointer("/spec/resources/requests/storage");
        asked
            .and_then(|size| Quantity::from_json(size).ok())
            .unwrap_or_default()
    };
    if size(new) <= size(old) {
        return Ok(());
    }
    if text(old, "/status/phase") != "Bound" {
        return Err(request.forbidden("Only bound persistent volume claims can be expanded"));
    }
    let class = class(new);
    let grows = !class.is_empty()
        && self::class(old) == class
        && context
            .reader
            .get(&STORAGE_CLASSES, "", class)
            .is_some_and(|class| class.value()["allowVolumeExpansion"] == true);
    if grows {
        Ok(())
    } else {
        Err(request.forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support \
             resize",
        ))
    }
}

/// The class that the claim names, in the field or in the annotation that was there before it.
pub(super) fn class(claim: &Value) -> &str {
    let annotation = text(
        claim,
        "/metadata/annotations/volume.beta.kubernetes.io~1storage-class",
    );
    if annotation.is_empty() {
        text(claim, "/spec/storageClassName")
    } else {
        annotation
    }
}
