//! What upstream's library for JSON patches (`evanphx/json-patch` v4) takes beyond RFC 6902: places counted from the end of a
//! list, written with a sign or zeros in front; a replacement of a member that is not there, and a copy of one; operations that
//! leave their value out; a `~` that stands for itself.

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, CopyOperation, PatchOperation};
use serde_json::Value;

/// Operations without the value that they need have null, and pointers are written as RFC 6901 does.
pub fn complete(patch: &mut Value) {
    for operation in patch.as_array_mut().into_iter().flatten() {
        let needs = matches!(operation["op"].as_str(), Some("add" | "replace" | "test"));
        let Value::Object(fields) = operation else {
            continue;
        };
        if needs {
            fields.entry("value").or_insert(Value::Null);
        }
        for name in ["path", "from"] {
            if let Some(Value::String(pointer)) = fields.get_mut(name)
                && pointer.contains('~')
            {
                *pointer = escaped(pointer);
            }
        }
    }
}

fn escaped(pointer: &str) -> String {
    let mut out = String::with_capacity(pointer.len() + 1);
    let mut rest = pointer.chars().peekable();
    while let Some(char) = rest.next() {
        out.push(char);
        if char == '~' && !matches!(rest.peek(), Some('0' | '1')) {
            out.push('0');
        }
    }
    out
}

/// The operation, but a move, as RFC 6902 would have it written for this object.
pub fn place(object: &Value, operation: &mut PatchOperation) {
    match operation {
        PatchOperation::Add(add) => resolve(object, &mut add.path, 1),
        PatchOperation::Remove(remove) => resolve(object, &mut remove.path, 0),
        PatchOperation::Test(test) => resolve(object, &mut test.path, 0),
        PatchOperation::Replace(replace) => {
            resolve(object, &mut replace.path, 0);
            if is_new_member(object, &replace.path) {
                let (path, value) = (replace.path.clone(), replace.value.take());
                *operation = PatchOperation::Add(AddOperation { path, value });
            }
        }
        PatchOperation::Copy(CopyOperation { from, path }) => {
            resolve(object, from, 0);
            resolve(object, path, 1);
            if is_new_member(object, from) {
                let (path, value) = (path.clone(), Value::Null);
                *operation = PatchOperation::Add(AddOperation { path, value });
            }
        }
        PatchOperation::Move(_) => {}
    }
}

/// Whether this is no member, but could be one, of an object that is there.
fn is_new_member(object: &Value, path: &Pointer) -> bool {
    let parent = path.parent().and_then(|parent| object.pointer(parent.as_str()));
    parent.is_some_and(Value::is_object) && object.pointer(path.as_str()).is_none()
}

/// Takes a value out of the object.
pub fn take(object: &mut Value, path: &Pointer) -> Option<Value> {
    let (parent, last) = path.split_back()?;
    match object.pointer_mut(parent.as_str())? {
        Value::Object(fields) => fields.remove(last.decoded().as_ref()),
        Value::Array(items) => {
            let place: usize = last.encoded().parse().ok()?;
            (place < items.len()).then(|| items.remove(place))
        }
        _ => None,
    }
}

/// `places` more than there are items can be meant by the last step.
pub fn resolve(object: &Value, pointer: &mut PointerBuf, places: usize) {
    // Nearly all are what they should be already.
    if !pointer.as_str().contains(['-', '+']) && !pointer.as_str().contains("/0") {
        return;
    }
    let last = pointer.count().saturating_sub(1);
    let mut at = Some(object);
    let mut steps = Vec::new();
    for (index, token) in pointer.tokens().enumerate() {
        // What leads nowhere is refused as it is.
        let Some(here) = at else { return };
        let step = token.decoded();
        let step = match (here, step.parse::<i64>()) {
            (Value::Array(items), Ok(number)) => {
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
        at = match here {
            Value::Object(fields) => fields.get(&step),
            Value::Array(items) => step.parse().ok().and_then(|place: usize| items.get(place)),
            _ => None,
        };
        steps.push(step);
    }
    *pointer = PointerBuf::from_tokens(&steps);
}
