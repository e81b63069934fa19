//! Keeps the status of ResourceQuotas: what they allow, and what is used of it.
//!
//! Admission counts for itself what it may let in; this is for people and clients that read the quota. A quota is
//! calculated again when it changes, and when something in its namespace changes that it counts: the garbage
//! collector's feed sees every object anyway and tells ([`Interest`]).
//!
//! Source: `k8s.io/kubernetes/pkg/controller/resourcequota`.

mod controller;
mod count;
mod interest;
#[cfg(test)]
mod tests;

pub use controller::start;
pub use interest::Interest;
