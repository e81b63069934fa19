//! OCI container execution: plan, system calls, sandboxes, shim, image store.
//!
//! Start at [`node`] for what the kubelet uses, at [`image`] for the content store. Below them, from decision to kernel:
//! [`plan`] compiles a specification into plain data, [`launch`] carries it out, [`shim`] is the process per pod that
//! does so and stays, [`oci`] the command line of an OCI runtime over the same core, [`cgroup`] the resource limits, [`sys`] holds the system calls.

pub mod cgroup;
pub mod image;
pub mod launch;
pub mod node;
pub mod oci;
pub mod plan;
pub mod shim;
pub mod sys;
pub mod wire;

pub use oci::oci_main;
