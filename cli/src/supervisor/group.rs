//! The daemons of a cluster, which start and end together.

use std::cell::RefCell;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;

use super::{Daemon, Failure, StateFile, supervise};

/// Runs the daemons until `stop` is true. When one gives up before the cluster was ready, sets `stop`, so that nothing of
/// them is left when this returns why.
pub async fn supervise_all(
    daemons: &[Daemon],
    state: &RefCell<StateFile>,
    stop: &watch::Sender<bool>,
    ready: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut running: FuturesUnordered<_> = daemons
        .iter()
        .map(|daemon| supervise(daemon, state, stop.subscribe(), ready))
        .collect();
    let mut outcome = Ok(());
    while let Some(ended) = running.next().await {
        if ended.is_err() {
            stop.send_replace(true);
            // Later ones may be because of the first.
            outcome = outcome.and(ended);
        }
    }
    outcome
}
