//! JSON patch, RFC 6902, with upstream's limits.

use json_patch::jsonptr::Pointer;
use json_patch::{AddOperation, CopyOperation, MoveOperation, Patch, PatchOperation};
use serde_json::Value;

use super::{PatchError, lenient, mistyped};
use crate::depth::{MAX_DEPTH, measure};

/// Operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Unknown members that are told (as upstream's decoder tells).
const MAX_UNKNOWN: usize = 100;
/// Bytes that `copy` operations may add: without a limit, thirty of them double a document thirty times.
const MAX_COPIED: usize = 3 * 1024 * 1024;
/// Values that the operations may look at or shift along in lists: without a limit, ten thousand removals from the front
/// of a list of a million shift ten thousand million.
const MAX_WORK: usize = 20_000_000;

/// The object after the operations of the patch.
pub fn json_patch(object: &Value, mut patch: Value) -> Result<Value, PatchError> {
    if patch.is_null() {
        // To Go's decoder a list without anything in it.
        return Ok(object.clone());
    }
    check_types(&patch)?;
    lenient::complete(&mut patch);
    // What has the right types and is no patch all the same, upstream notices while it applies it.
    let patch: Patch =
        serde_json::from_value(patch).map_err(|error| PatchError::DoesNotApply(error.to_string()))?;
    if patch.0.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge {
            count: patch.0.len(),
            max: MAX_OPERATIONS,
        });
    }
    let mut work = Work {
        value: object.clone(),
        copied: 0,
        done: 0,
    };
    for operation in patch.0 {
        work.run(operation)?;
    }
    Ok(work.value)
}

/// The object in work.
struct Work {
    value: Value,
    /// Bytes that copies have added.
    copied: usize,
    /// Values that were looked at or shifted.
    done: usize,
}

impl Work {
    fn run(&mut self, mut operation: PatchOperation) -> Result<(), PatchError> {
        if let PatchOperation::Move(MoveOperation { mut from, path }) = operation {
            // The target is looked for where the source is gone already.
            lenient::resolve(&self.value, &mut from, 0);
            self.done += tail(&self.value, &from);
            let value = lenient::take(&mut self.value, &from)
                .ok_or_else(|| PatchError::DoesNotApply("nothing to move".to_owned()))?;
            operation = PatchOperation::Add(AddOperation { path, value });
        }
        self.step(operation)
    }

    fn step(&mut self, mut operation: PatchOperation) -> Result<(), PatchError> {
        lenient::place(&self.value, &mut operation);
        if let PatchOperation::Copy(copy) = &operation {
            let source = self.value.pointer(copy.from.as_str());
            self.copied += source.map_or(0, |source| source.to_string().len());
            let copied = self.copied;
            if copied > MAX_COPIED {
                return Err(PatchError::DoesNotApply(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the \
                     limit {MAX_COPIED}"
                )));
            }
        }
        if is_absence(&self.value, &operation) {
            return Ok(());
        }
        let (depth, cost) = estimate(&self.value, &operation);
        self.done += cost;
        if depth > MAX_DEPTH || self.done > MAX_WORK {
            return Err(PatchError::DoesNotApply(format!(
                "the patch nests deeper than {MAX_DEPTH} levels or moves more than {MAX_WORK} values"
            )));
        }
        json_patch::patch(&mut self.value, &[operation])
            .map_err(|error| PatchError::DoesNotApply(error.to_string()))
    }
}

/// What of a patch upstream ignores: members that no operation has, in the words of its decoder.
pub fn unknown_members(patch: &Value) -> Vec<String> {
    const MEMBERS: [&str; 4] = ["op", "path", "from", "value"];
    let operations = patch.as_array().into_iter().flatten().enumerate();
    let unknown = operations.flat_map(|(index, operation)| {
        let names = operation.as_object().into_iter().flat_map(|fields| fields.keys());
        let unknown = names.filter(|name| !MEMBERS.contains(&name.as_str()));
        unknown.map(move |name| format!("unknown field \"[{index}].{name}\""))
    });
    unknown.take(MAX_UNKNOWN).collect()
}

/// Refuses what upstream cannot read as a list of operations, in the words of Go's decoder.
fn check_types(patch: &Value) -> Result<(), PatchError> {
    let Value::Array(operations) = patch else {
        return Err(mistyped(patch, "value of type []handlers.jsonPatchOp"));
    };
    for operation in operations {
        if operation.is_null() {
            // Its decoder takes it; what applies the patch does not.
            continue;
        }
        let Value::Object(fields) = operation else {
            return Err(mistyped(operation, "value of type handlers.jsonPatchOp"));
        };
        for name in ["op", "path", "from"] {
            if let Some(value) = fields
                .get(name)
                .filter(|value| !value.is_string() && !value.is_null())
            {
                let what = format!("struct field jsonPatchOp.{name} of type string");
                return Err(mistyped(value, &what));
            }
        }
    }
    Ok(())
}

/// Whether the operation tests that a member is null and the member is not there, which is the same to upstream
/// (`evanphx/json-patch`), though not to RFC 6902. Operators add their first finalizer so.
fn is_absence(object: &Value, operation: &PatchOperation) -> bool {
    let PatchOperation::Test(test) = operation else {
        return false;
    };
    let Some((parent, _)) = test.path.split_back() else {
        return false;
    };
    test.value.is_null()
        && object.pointer(test.path.as_str()).is_none()
        && object.pointer(parent.as_str()).is_some_and(Value::is_object)
}

/// How deep what the operation adds will reach, and how many values it looks at or shifts along in lists.
fn estimate(object: &Value, operation: &PatchOperation) -> (usize, usize) {
    let (path, (depth, values), shifted) = match operation {
        PatchOperation::Add(add) => (&add.path, measure(&add.value), true),
        PatchOperation::Replace(replace) => (&replace.path, measure(&replace.value), false),
        PatchOperation::Remove(remove) => return (0, tail(object, &remove.path)),
        // A move is made of other steps.
        PatchOperation::Test(_) | PatchOperation::Move(_) => return (0, 0),
        PatchOperation::Copy(CopyOperation { from, path }) => (path, measured(object, from), true),
    };
    let shifted = if shifted { tail(object, path) } else { 0 };
    (path.count() + depth, values + shifted)
}

fn measured(object: &Value, from: &Pointer) -> (usize, usize) {
    object.pointer(from.as_str()).map_or((0, 0), measure)
}

/// Items of the list from this place on, which an insertion or removal there shifts.
fn tail(object: &Value, path: &Pointer) -> usize {
    let Some((parent, last)) = path.split_back() else {
        return 0;
    };
    let items = object.pointer(parent.as_str()).and_then(Value::as_array);
    // "-" is the place after the last item.
    let index = last.encoded().parse().unwrap_or(usize::MAX);
    items.map_or(0, |items| items.len().saturating_sub(index))
}
