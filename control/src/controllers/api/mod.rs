//! How controllers and scheduler talk to the API server: resources, JSON requests, events.

mod client;
mod encode;
mod events;
mod resource;

pub use client::{Api, Error, JSON, Patch};
pub use encode::segment;
pub use events::{EventType, Recorder};
pub use resource::{Reference, Resource, all as resources};
