//! The content-addressed image store: import, unpack once, list, remove.

mod error;
mod store;

pub use error::Error;
pub use store::{Image, ImageStore, normalize_reference};
