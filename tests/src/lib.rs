//! The harness of the whole-system tests and benchmarks: a private cluster, and the real kubectl.

mod cluster;
pub mod context;
mod kubectl;
mod wait;

pub use cluster::Cluster;
pub use kubectl::{Kubectl, Output, Running, find_kubectl, run_to_end};
pub use wait::eventually;
