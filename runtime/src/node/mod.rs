//! What a node agent needs: pod sandboxes, containers, exec and attach sessions, exit events.
//!
//! All calls are synchronous and take milliseconds; an async caller uses `spawn_blocking`.
//! State lives on disk under the runtime's root, so a restarted caller sees everything again.

mod error;
mod runtime;
mod types;

pub use error::Error;
pub use runtime::{Events, Exec, NodeRuntime};
pub use types::*;
