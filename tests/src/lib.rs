//! The harness of the whole-system tests and benchmarks: a private cluster, and the real kubectl.

mod cluster;
mod kubectl;
mod wait;

pub use cluster::Cluster;
pub use kubectl::{Kubectl, Output, Running, find_kubectl};
pub use wait::eventually;
