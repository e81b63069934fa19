//! The content-addressed image store: import, pull, unpack once, list, export, push, remove.
//!
//! - [`reference`]: image names, as Docker's grammar has them; pure.
//! - [`manifest`]: the JSON documents of an image, and which of several to take; pure.
//! - [`source`]: where an image comes from (bundle, layout, archives), reduced to verified blobs.
//! - [`registry`]: the distribution protocol, reduced to the same; and pushing.
//! - [`tarball`], [`compression`]: reading untrusted streams in bounded memory.
//! - [`layer`]: unpacking one layer into a directory for overlayfs.
//! - [`store`]: the directory itself: locks, leases, temporary directories, the index, publishing, collecting.
//! - [`untrusted`]: the parsers of foreign bytes by themselves, for fuzzing.
//!
//! Everything from an image is hostile: sizes are limited ([`limits`]), digests are verified, and no path of a
//! layer is ever resolved by string; see [`layer`].

mod compression;
mod digest;
mod error;
mod layer;
mod limits;
mod manifest;
mod platform;
mod reference;
mod registry;
mod source;
mod store;
mod tarball;
pub mod untrusted;

#[cfg(test)]
mod fixture;

pub use digest::Digest;
pub use error::Error;
pub use limits::Limits;
pub use platform::Platform;
pub use reference::{Reference, normalize_reference};
pub use registry::{Access, Credentials, DockerConfig};
pub use store::{
    Archive, Collect, Collected, Details, Fault, FaultKind, Image, ImageStore, LayerDetails, PullOptions,
    Removed, Repair, hold_layers,
};
