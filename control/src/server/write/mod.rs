//! Writing: create, update, patch and delete.
//!
//! Order of steps, as in kube-apiserver's generic registry: decode, default, mutating admission, strategy's
//! preparation, validation, validating admission, store. Updates run the steps again on a newer object when the store
//! reports a conflict that the client did not ask about.

pub mod apply;
pub mod create;
pub mod decode;
pub mod delete;
mod duplicates;
pub mod managed;
pub mod metadata;
pub mod patch;
pub mod patched;
mod terms;
mod turn;
pub mod update;

/// Seconds for which the store keeps Events.
pub const EVENT_TTL: u64 = 3600;

use keelson_api::depth::{MAX_DEPTH, measure};
use keelson_api::status::Status;
use serde_json::Value;

use crate::object::{GroupResource, Object};
use crate::server::body::MOST_BYTES;

/// Refuses an object that could not be read back from the store. The managers' fields, which the server writes, are
/// hardly deeper than the object.
pub fn check_depth(object: &Value) -> Result<(), Status> {
    let fields = object.as_object().into_iter().flatten();
    let metadata = object["metadata"].as_object().into_iter().flatten();
    let deepest = fields
        .filter(|(name, _)| *name != "metadata")
        .map(|(_, value)| measure(value).0 + 1)
        .chain(
            metadata
                .filter(|(name, _)| *name != managed::FIELD)
                .map(|(_, value)| measure(value).0 + 2),
        )
        .max();
    if deepest.is_some_and(|deepest| deepest > MAX_DEPTH) {
        return Err(Status::bad_request(format!(
            "the object is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    Ok(())
}

/// Refuses an object that is larger than any that a client could send: nobody could update it. With its managers an object is
/// up to twice as large as it was sent.
pub fn check_size(object: &Object) -> Result<(), Status> {
    if object.bytes.len() > MOST_BYTES {
        return Err(Status::too_large(&format!("limit is {MOST_BYTES}")));
    }
    Ok(())
}

/// When a new version of an object of this resource expires, in Unix seconds.
pub fn expires(resource: &GroupResource) -> Option<u64> {
    let is_event = resource.resource == "events" && matches!(resource.group.as_str(), "" | "events.k8s.io");
    is_event.then(|| keelson_api::time::now() as u64 + EVENT_TTL)
}
