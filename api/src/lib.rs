//! Kubernetes wire facts shared by all parts: quantities, selectors, schemas, patches, names.
//!
//! No I/O here, and no dependency on any other crate of the workspace.

pub mod apply;
pub mod depth;
pub mod jsonpath;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod pointer;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod structural;
pub mod time;
