//! Jobs: runs pods until enough of them have succeeded.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/job`. Every pod has a finalizer until it is counted, so that a pod that
//! is deleted after its end still counts once, and only once: its UID goes into `uncountedTerminatedPods`, then the
//! finalizer goes, then the count grows. Not done: pod failure and success policies, `backoffLimitPerIndex`,
//! `podReplacementPolicy`; a Job that asks for one of the first two runs without it.

mod controller;
mod indexes;
mod plan;
mod pod;
#[cfg(test)]
mod tests;

pub use controller::start;
