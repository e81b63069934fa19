//! What upstream's library for JSON patches (`evanphx/json-patch` v4) takes beyond RFC 6902: places counted from the end of a
//! list, written with a sign or zeros in front, and operations that leave their value out.

use json_patch::jsonptr::PointerBuf;
use json_patch::{CopyOperation, MoveOperation, PatchOperation};
use serde_json::Value;

/// Operations without the value that they need have null.
pub fn complete(patch: &mut Value) {
    for operation in patch.as_array_mut().into_iter().flatten() {
        let needs = matches!(operation["op"].as_str(), Some("add" | "replace" | "test"));
        if let (true, Value::Object(fields)) = (needs, operation) {
            fields.entry("value").or_insert(Value::Null);
        }
    }
}

/// The operation with its places in the object as RFC 6902 writes them.
pub fn place(object: &Value, operation: &mut PatchOperation) {
    match operation {
        PatchOperation::Add(add) => resolve(object, &mut add.path, 1),
        PatchOperation::Remove(remove) => resolve(object, &mut remove.path, 0),
        PatchOperation::Replace(replace) => resolve(object, &mut replace.path, 0),
        PatchOperation::Test(test) => resolve(object, &mut test.path, 0),
        PatchOperation::Copy(CopyOperation { from, path }) => {
            resolve(object, from, 0);
            resolve(object, path, 1);
        }
        PatchOperation::Move(MoveOperation { from, path }) => {
            resolve(object, from, 0);
            // The list may be the one that an item is taken from, and so be shorter by then.
            let is_shorter = from.parent() == path.parent() && object.pointer(from.as_str()).is_some();
            resolve(object, path, usize::from(!is_shorter));
        }
    }
}

/// `places` more than there are items can be meant by the last step.
fn resolve(object: &Value, pointer: &mut PointerBuf, places: usize) {
    // Nearly all are what they should be already.
    if !pointer.as_str().contains(['-', '+']) && !pointer.as_str().contains("/0") {
        return;
    }
    let last = pointer.count().saturating_sub(1);
    let mut at = Some(object);
    let mut steps = Vec::with_capacity(last + 1);
    for (index, token) in pointer.tokens().enumerate() {
        let step = token.decoded();
        let list = at.and_then(Value::as_array);
        let step = match (list, step.parse::<i64>()) {
            (Some(items), Ok(number)) => {
                let length = items.len() + if index == last { places } else { 0 };
                let from_end = || length.checked_sub(usize::try_from(number.unsigned_abs()).ok()?);
                let place = if number < 0 {
                    from_end()
                } else {
                    usize::try_from(number).ok()
                };
                // What is outside stays, and is refused as it is.
                place.map_or_else(|| step.into_owned(), |place| place.to_string())
            }
            _ => step.into_owned(),
        };
        at = at.and_then(|at| match at {
            Value::Object(fields) => fields.get(&step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        });
        steps.push(step);
    }
    *pointer = PointerBuf::from_tokens(&steps);
}
