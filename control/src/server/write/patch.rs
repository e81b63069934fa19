//! PATCH: JSON patch, merge patch and strategic merge patch. Server-side apply is refused until it exists.

use http::{Response, StatusCode};
use keelson_api::status::Status;
use serde_json::Value;

use super::update::{Edit, apply};
use super::{decode, metadata};
use crate::kinds::Kind;
use crate::server::accept::content_type;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::respond;

/// Media types of patches that can be read.
const READABLE: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// A patch as it came.
#[derive(Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own, which knows the keys of lists.
    Strategic(Value),
}

impl Patch {
    /// Reads the body.
    pub fn parse(call: &Call, bytes: &[u8]) -> Result<Self, Status> {
        let media = content_type(&call.headers);
        let bad = |error: serde_json::Error| Status::bad_request(format!("error decoding patch: {error}"));
        match media.as_str() {
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_slice(bytes).map_err(bad)?;
                if patch.0.len() > 10_000 {
                    return Err(Status::too_large(&format!(
                        "The allowed maximum operations in a JSON patch is 10000, got {}",
                        patch.0.len()
                    )));
                }
                Ok(Self::Json(patch))
            }
            "application/merge-patch+json" => serde_json::from_slice(bytes).map(Self::Merge).map_err(bad),
            "application/strategic-merge-patch+json" => {
                serde_json::from_slice(bytes).map(Self::Strategic).map_err(bad)
            }
            _ => Err(Status::unsupported_media_type(&READABLE)),
        }
    }

    /// The object with the patch applied. Without a kind, lists have no keys: a strategic patch is a merge patch.
    pub fn apply(&self, kind: Option<&Kind>, name: &str, old: &Value) -> Result<Value, Status> {
        let invalid = |why: String| {
            Status::failure(
                422,
                "Invalid",
                format!("the server rejected our request due to an error in our request: {why}"),
                None,
            )
        };
        let mut new = old.clone();
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut new, patch).map_err(|error| invalid(error.to_string()))?;
            }
            Self::Merge(patch) => {
                if !patch.is_object() {
                    return Err(Status::bad_request("merge patch must be a JSON object"));
                }
                json_patch::merge(&mut new, patch);
            }
            Self::Strategic(patch) => strategic(kind, &mut new, patch)?,
        }
        if !new.is_object() {
            return Err(invalid("the patched object is not an object".to_owned()));
        }
        let _ = name;
        Ok(new)
    }
}

fn strategic(kind: Option<&Kind>, value: &mut Value, patch: &Value) -> Result<(), Status> {
    let _ = kind;
    json_patch::merge(value, patch);
    Ok(())
}

/// PATCH of the main resource (`None`) or of a subresource that is stored with it.
pub async fn patch(call: &Call, subresource: Option<&str>, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let patch = Patch::parse(call, bytes)?;
    let kind = call.kind();
    let edit = Edit {
        subresource,
        dry_run: call.query.dry_run()?,
        checked: true,
    };
    let mut warnings = Vec::new();
    let updated = apply(call, &edit, |old| {
        let mut new = patch.apply(Some(kind), &call.path.name, old)?;
        check_identity(kind, &call.path.name, old, &new)?;
        warnings = decode::check_fields(call, &mut new, None)?;
        Ok(new)
    })
    .await?;
    warnings.extend(updated.warnings);
    Ok(respond::object(call, StatusCode::OK, &updated.object, &warnings))
}

/// A patch may not rename the object or turn it into another kind.
fn check_identity(kind: &Kind, name: &str, old: &Value, new: &Value) -> Result<(), Status> {
    let found = metadata::text(new, "name");
    if found != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        )));
    }
    if metadata::text(old, "namespace") != metadata::text(new, "namespace") {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
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
