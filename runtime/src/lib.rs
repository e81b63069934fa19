//! OCI container execution: plan, system calls, sandboxes, shim, image store.
//!
//! Start at [`node`] for what the kubelet uses, at [`image`] for the content store.

pub mod image;
pub mod node;
