//! Nodes: health by heartbeat, taints by condition, eviction by taint, and pod address ranges.

mod cidr;
mod evict;
mod health;
mod ipam;
mod lifecycle;
mod taints;
#[cfg(test)]
mod tests;

use tokio::task::JoinSet;

use super::Context;

/// Identity of all of them.
const NAME: &str = "node-controller";

/// Starts them.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    lifecycle::start(context, tasks);
    evict::start(context, tasks);
    ipam::start(context, tasks);
}
