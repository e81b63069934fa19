//! DaemonSets: one pod on every node that is right for it.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/daemon`. The pods name their node by affinity and are bound by the
//! scheduler, like all others.

mod backoff;
mod controller;
mod plan;
mod pod;
#[cfg(test)]
mod tests;

pub use controller::start;
