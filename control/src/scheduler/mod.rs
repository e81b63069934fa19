//! Assigns pods to nodes: a pure decision over a snapshot, and a loop over the API.
//!
//! The loop owns the snapshot; informers feed it through a channel. A decided pod is put into the snapshot at once and
//! bound by a task of its own, so that the next decision does not wait for the API.

mod affinity;
mod bind;
mod decide;
mod filter;
mod groups;
mod pod;
mod ports;
mod queue;
mod resources;
mod run;
mod score;
mod snapshot;
mod spread;
mod term;
#[cfg(test)]
mod tests;
mod topology;

pub use decide::{Reasons, schedule};
pub use filter::matches_node;
pub use pod::PodView;
pub use run::run;
pub use snapshot::{NodeView, Snapshot};
