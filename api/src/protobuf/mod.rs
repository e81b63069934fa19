//! Protobuf as Kubernetes speaks it (`application/vnd.kubernetes.protobuf`), without a Rust type per kind.
//!
//! An object is its JSON here; protobuf is another way of writing the same object. [`encode`] goes over an object's JSON
//! bytes once and appends the message; [`decode`] makes the JSON value that Go would have sent. Both follow a table of the
//! messages' field numbers ([`Message`]), generated from upstream's API. [`envelope`] has what lies around objects: the
//! prefix `k8s\0` with the object's kind, lists made of encoded items, and watch events.
//!
//! What JSON can say and protobuf cannot: an empty list or map is an absent one, and times have no fraction.

mod decode;
mod encode;
pub mod envelope;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod wire;
mod zeros;

pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, encode};
pub use table::{Message, find, of_kind};
pub use zeros::drop_zeros;

/// Media type of requests and answers.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// Media type of watches.
pub const WATCH_MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";
