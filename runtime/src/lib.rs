//! OCI container execution: plan, system calls, sandboxes, shim, image store.
//!
//! Start at [`node`] for what the kubelet uses, at [`image`] for the content store. Below them, from decision to kernel:
//! [`plan`] compiles a specification into plain data, [`launch`] carries it out, [`shim`] is the process per pod that
//! does so and stays, [`cgroup`] the resource limits, [`sys`] the system calls. `oci` is the command line of an OCI
//! runtime over the same core; it lives in a small program of its own (`runtime/command`), which is this crate without
//! its feature `node`, and which [`oci_main`] turns the big binary into.
#![cfg_attr(not(feature = "node"), allow(dead_code))] // what only pods need has no user then

pub mod cgroup;
#[cfg(feature = "node")]
mod command;
#[cfg(feature = "node")]
pub mod image;
pub mod launch;
#[cfg(feature = "node")]
pub mod node;
#[cfg(any(test, not(feature = "node")))]
pub mod oci;
pub mod plan;
mod programs;
pub mod shim;
pub mod sys;
pub mod wire;

#[cfg(feature = "node")]
pub use command::oci_main;
#[cfg(not(feature = "node"))]
pub use oci::oci_main;
