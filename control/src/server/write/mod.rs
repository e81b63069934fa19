//! Writing: create, update, patch and delete.
//!
//! Order of steps, as in kube-apiserver's generic registry: decode, default, mutating admission, strategy's
//! preparation, validation, validating admission, store. Updates run the steps again on a newer object when the store
//! reports a conflict that the client did not ask about.

pub mod create;
pub mod decode;
pub mod delete;
pub mod metadata;
pub mod patch;
pub mod protobuf;
pub mod update;

/// Seconds for which the store keeps Events.
pub const EVENT_TTL: u64 = 3600;

use crate::object::GroupResource;

/// When a new version of an object of this resource expires, in Unix seconds.
pub fn expires(resource: &GroupResource) -> Option<u64> {
    let is_event = resource.resource == "events" && matches!(resource.group.as_str(), "" | "events.k8s.io");
    is_event.then(|| keelson_api::time::now() as u64 + EVENT_TTL)
}
