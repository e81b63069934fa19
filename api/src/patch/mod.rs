//! The patch formats: JSON patch (RFC 6902), merge patch (RFC 7386), and Kubernetes' strategic merge patch, which
//! knows from the schema how lists merge. (Server-side apply is not here.)

mod json;
mod lenient;
mod merge;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::schema::{self, Type};
use crate::status::{Status, json_type};

pub use json::json_patch;
pub use merge::merge_patch;
pub use strategic::strategic_patch;

/// The format of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

impl Format {
    /// From a content type, parameters ignored.
    pub fn from_content_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Why a patch could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch is malformed.
    #[error("{0}")]
    Bad(String),
    /// A JSON patch is well-formed but does not fit the object.
    #[error("{0}")]
    DoesNotApply(String),
    /// Too many operations.
    #[error("The allowed maximum operations in a JSON patch is {max}, got {count}")]
    TooLarge {
        /// Operations in the patch.
        count: usize,
        /// Operations allowed.
        max: usize,
    },
    /// The object's type has no schema, as custom resources have none for strategic merging.
    #[error("the body of the request was in an unknown format")]
    NoSchema,
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Bad(text) => Self::bad_request(text),
            // Upstream keeps what exactly went wrong to its log.
            PatchError::DoesNotApply(_) => Self::failure(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
                Some(crate::status::Details::default()),
            ),
            PatchError::TooLarge { .. } => Self::too_large(&error.to_string()),
            PatchError::NoSchema => Self::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ]),
        }
    }
}

/// A patched object.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The new object, not yet checked against its schema.
    pub value: Value,
    /// What of the patch does not count: `duplicate field "spec.x"`.
    pub mistakes: Vec<String>,
}

/// What merge patches are to Go.
const OBJECT: &str = "value of type map[string]interface {}";

/// A patch that has a value where another type belongs: `value of type TYPE` or `struct field STRUCT.NAME of type TYPE`.
fn mistyped(found: &Value, wanted: &str) -> PatchError {
    let found = json_type(found);
    PatchError::Bad(format!(
        "error decoding patch: json: cannot unmarshal {found} into Go {wanted}"
    ))
}

/// Applies the patch in `body` to `object`, whose type is `kind` (needed for strategic patches only).
pub fn apply(
    format: Format,
    kind: Option<Type<'_>>,
    object: &Value,
    body: &[u8],
) -> Result<Patched, PatchError> {
    let parsed =
        schema::parse(body).map_err(|error| PatchError::Bad(format!("error decoding patch: {error}")))?;
    let mut mistakes = parsed.duplicates;
    let value = match format {
        Format::Json => {
            let unknown = json::unknown_members(&parsed.value);
            mistakes = schema::in_document_order(body, mistakes, unknown);
            for mistake in &mut mistakes {
                mistake.insert_str(0, "json patch ");
            }
            json_patch(object, parsed.value)?
        }
        Format::Merge => {
            let mut value = object.clone();
            if !parsed.value.is_object() {
                return Err(mistyped(&parsed.value, OBJECT));
            }
            merge_patch(&mut value, parsed.value);
            value
        }
        // To Go's decoder a map without anything in it.
        Format::Strategic if parsed.value.is_null() => object.clone(),
        Format::Strategic => strategic_patch(kind.ok_or(PatchError::NoSchema)?, object, parsed.value)?,
    };
    Ok(Patched { value, mistakes })
}
