//! Keeps the status of PodDisruptionBudgets, from which evictions (`kubectl drain`) take.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/disruption`.

mod controller;
mod status;
#[cfg(test)]
mod tests;

pub use controller::start;
