//! What a node agent needs: pod sandboxes, containers, exec and attach sessions, exit events.
//!
//! All calls are synchronous and take milliseconds; an async caller uses `spawn_blocking`.
//! State lives on disk under the runtime's root, so a restarted caller sees everything again.

mod bundle;
pub(crate) mod cgroups;
mod containers;
mod error;
mod events;
mod exec;
mod host_devices;
mod layout;
mod reset;
mod rootfs;
mod runtime;
mod sandboxes;
mod seccomp;
pub(crate) mod shim_client;
mod sources;
mod state;
mod stats;
mod types;

pub use error::Error;
pub use events::Events;
pub use exec::Exec;
pub use runtime::NodeRuntime;
pub use types::*;
