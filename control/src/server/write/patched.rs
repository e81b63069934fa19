//! What a patch makes of an object, as an object of its type.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`: what cannot be decoded is an invalid field `patch`, shown as the
//! patched object, or for a strategic patch as the patch in Go's form.

use keelson_api::patch::{Format, apply};
use keelson_api::schema::{self, Parsed, Type};
use keelson_api::status::{FieldError, Status, go_plain};
use serde_json::Value;

use super::decode::{FieldValidation, strict};
use crate::kinds::custom::FitError;

/// A patch as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// How it says what to change.
    pub format: Format,
    /// The type of what it is for, which strategic patches need.
    pub schema: Option<Type<'a>>,
    /// The patch.
    pub bytes: &'a [u8],
}

impl Patch<'_> {
    /// The object after the patch, made to `fit` its type, and what does not belong into it: warnings for the client.
    pub fn apply(
        &self,
        old: &Value,
        validation: FieldValidation,
        fit: impl FnOnce(&mut Parsed) -> Result<Vec<String>, FitError>,
    ) -> Result<(Value, Vec<String>), Status> {
        let mut patched = apply(self.format, self.schema, old, self.bytes)?;
        if self.format == Format::Strategic {
            // It is made into a Go struct of the path's type: what it says of its own is lost (smpPatcher).
            for field in ["apiVersion", "kind"] {
                patched.value[field] = old[field].clone();
            }
        }
        let mut parsed = Parsed {
            value: patched.value,
            duplicates: patched.mistakes,
        };
        let complaints = fit(&mut parsed).map_err(|error| match error {
            FitError::Type(error) if self.format == Format::Strategic => self.invalid(old, error.converted()),
            FitError::Type(error) => self.invalid(old, &error.to_string()),
            FitError::Size(_) | FitError::Structures(_) => Status::too_large(&error.to_string()),
        })?;
        match validation {
            FieldValidation::Ignore => Ok((parsed.value, Vec::new())),
            FieldValidation::Strict if !complaints.is_empty() => Err(self.invalid(old, &strict(&complaints))),
            FieldValidation::Warn | FieldValidation::Strict => Ok((parsed.value, complaints)),
        }
    }

    fn invalid(&self, old: &Value, why: &str) -> Status {
        let shown = match self.format {
            Format::Strategic => schema::parse(self.bytes).ok().map(|patch| go_plain(&patch.value)),
            // As it was before it was made to fit.
            Format::Json | Format::Merge => apply(self.format, self.schema, old, self.bytes)
                .ok()
                .map(|patched| patched.value.to_string()),
        };
        let error = FieldError::invalid("patch", shown.unwrap_or_default(), why);
        Status::invalid("", "", "", &[error])
    }
}
