//! What the kubelet knows of one pod and what it decides to do next. Pure: no clock, no I/O.

pub mod admission;
pub mod adopt;
pub mod backoff;
pub mod plan;
pub mod state;
