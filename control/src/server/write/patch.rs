//! PATCH: JSON patch, merge patch and strategic merge patch; `apply` has server-side apply.

use http::{Response, StatusCode};
use keelson_api::patch::Format;
use keelson_api::status::{FieldError, Status};
use serde_json::Value;

use super::decode::FieldValidation;
use super::managed::Managers;
use super::patched::Patch;
use super::update::{Edit, apply, check_version};
use super::{apply as server_side, decode, metadata};
use crate::kinds::Kind;
use crate::server::accept::content_type;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::respond;

/// Media types of patches that can be read.
const READABLE: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    server_side::MEDIA,
];

/// The patch's format.
pub fn format(call: &Call) -> Result<Format, Status> {
    Format::from_content_type(&content_type(&call.headers))
        .ok_or_else(|| Status::unsupported_media_type(&READABLE))
}

/// PATCH of the main resource (`None`) or of a subresource that is stored with it.
pub async fn patch(call: &Call, subresource: Option<&str>, bytes: &[u8]) -> Result<Response<Body>, Status> {
    if server_side::is_apply(call) {
        return server_side::patch(call, subresource, bytes).await;
    }
    let format = format(call)?;
    Options::Patch.check(&call.query)?;
    let kind = call.kind();
    // Custom resources have no strategic merge patch.
    let patch = Patch {
        format,
        schema: kind.object_type().filter(|_| kind.custom.is_none()),
        bytes,
    };
    let validation = FieldValidation::of(call);
    let edit = Edit {
        subresource,
        dry_run: call.query.dry_run(),
        checked: true,
        managers: Managers::Track,
    };
    let mut warnings = Vec::new();
    let updated = apply(call, &edit, |old| {
        let (mut new, complaints) = patch.apply(old, validation, |parsed| decode::fit(parsed, kind))?;
        check_identity(kind, &call.path.name, old, &mut new)?;
        check_uid(kind, old, &new)?;
        check_version(call, &new)?;
        warnings = complaints;
        Ok(new)
    })
    .await?;
    warnings.extend(updated.warnings);
    Ok(respond::object(call, StatusCode::OK, &updated.object, &warnings))
}

/// A patch may not rename or move the object or turn it into another kind.
pub fn check_identity(kind: &Kind, name: &str, old: &Value, new: &mut Value) -> Result<(), Status> {
    let found = metadata::text(new, "name");
    if found != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        )));
    }
    metadata::place_in(kind, metadata::text(old, "namespace"), new)?;
    for field in ["apiVersion", "kind"] {
        if new[field] != old[field] {
            return Err(Status::bad_request(format!(
                "a patch of a {} may not change {field}",
                kind.kind
            )));
        }
    }
    Ok(())
}

/// Nor give it another UID. Only of a replacement that is a precondition, of which a conflict is told: controllers that
/// patch with a UID take 422 for the end of an object of that name (kube-controller-manager's `controller_ref_manager.go`).
pub fn check_uid(kind: &Kind, old: &Value, new: &Value) -> Result<(), Status> {
    let uid = metadata::text(new, "uid");
    if uid.is_empty() || uid == metadata::text(old, "uid") {
        return Ok(());
    }
    let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
    let name = metadata::text(old, "name");
    Err(Status::invalid(&kind.group, &kind.kind, name, &[error]))
}
