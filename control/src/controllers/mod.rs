//! The reconcilers, each over a `kube::Client`.

use std::sync::Arc;

use kube::Client;

/// Makes the client of a controller: the argument is the name of its service account in `kube-system`.
pub type Clients = Arc<dyn Fn(&str) -> Client + Send + Sync>;

/// Runs all controllers until `shutdown` resolves.
pub async fn run(clients: Clients, config: &crate::Config, shutdown: impl Future<Output = ()>) {
    let _ = (clients, config);
    shutdown.await;
}
