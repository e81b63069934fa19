//! Bootstrap tokens: removing those that have ended, and signing with them what new machines read to find the cluster.

mod cleaner;
mod signer;
#[cfg(test)]
mod tests;

use tokio::task::JoinSet;

use super::Context;

/// The ConfigMap that tells anybody who asks where the API server is and which authority it has.
pub const CLUSTER_INFO: &str = "cluster-info";
/// Where it is.
pub const PUBLIC_NAMESPACE: &str = "kube-public";

/// Starts both controllers.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    cleaner::start(context, tasks);
    signer::start(context, tasks);
}
