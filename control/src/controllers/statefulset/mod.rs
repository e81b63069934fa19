//! StatefulSets: pods with ordinals, started and stopped in order.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/statefulset`.

mod controller;
mod plan;
mod pod;
#[cfg(test)]
mod tests;

pub use controller::start;
