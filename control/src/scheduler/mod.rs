//! Assigns pods to nodes: a pure decision over a snapshot, and a loop over the API.

/// Runs the scheduler until `shutdown` resolves. `client` acts as `system:kube-scheduler`.
pub async fn run(client: kube::Client, shutdown: impl Future<Output = ()>) {
    let _ = client;
    shutdown.await;
}
