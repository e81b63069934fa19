//! JSON patch, RFC 6902, with upstream's limits.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::PatchError;

/// Operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Bytes that `copy` operations may add: without a limit, thirty of them double a document thirty times.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// The object after the operations of the patch.
pub fn json_patch(object: &Value, patch: Value) -> Result<Value, PatchError> {
    let patch: Patch = serde_json::from_value(patch).map_err(|error| PatchError::Bad(error.to_string()))?;
    if patch.0.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge {
            count: patch.0.len(),
            max: MAX_OPERATIONS,
        });
    }
    let mut value = object.clone();
    let mut copied = 0;
    for operation in patch.0 {
        if let PatchOperation::Copy(copy) = &operation {
            copied += value
                .pointer(copy.from.as_str())
                .map_or(0, |source| source.to_string().len());
            if copied > MAX_COPIED {
                return Err(PatchError::DoesNotApply(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the \
                     limit {MAX_COPIED}"
                )));
            }
        }
        json_patch::patch(&mut value, &[operation])
            .map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
    }
    Ok(value)
}
