//! Kubernetes wire facts shared by all parts: quantities, selectors, schemas, patches, names.
//!
//! No I/O here, and no dependency on any other crate of the workspace.

pub mod status;
