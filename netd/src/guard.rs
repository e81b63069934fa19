//! Loading our tables again when somebody else has removed them.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tracing::warn;

use crate::daemon::SharedNetwork;
use crate::netlink::{Membership, readiness};
use crate::network::Network;
use crate::nft::{self, Family, Monitor};
use crate::proxy::Event;

/// Between attempts to load a table.
const PAUSE: Duration = Duration::from_secs(1);

/// Hears of deletions.
#[derive(Debug)]
pub(crate) struct Guard {
    monitor: Monitor,
    wake: AsyncFd<OwnedFd>,
    /// The cluster.
    id: String,
}

impl Guard {
    /// Listens from now on.
    pub(crate) fn new(id: &str) -> Result<Self, crate::Error> {
        let monitor = Monitor::new(vec![nft::pods_table(id), nft::services_table(id)])?;
        let wake = monitor.descriptor().and_then(readiness);
        let wake = wake.map_err(|source| crate::Error::Io {
            what: "watch nftables".into(),
            source,
        })?;
        Ok(Self {
            monitor,
            wake,
            id: id.to_owned(),
        })
    }

    /// For who changes so much that nobody should listen meanwhile; what it misses is looked up afterwards.
    pub(crate) fn membership(&self) -> Membership {
        self.monitor.membership().clone()
    }

    /// Works until the socket breaks or nobody receives `events` any more.
    pub(crate) async fn run(mut self, network: &SharedNetwork, events: &mpsc::Sender<Event>) {
        let mut failed = false;
        loop {
            if failed {
                // Nothing tells when what made the kernel refuse is gone.
                tokio::time::sleep(PAUSE).await;
            } else if self.deletion().await.is_err() {
                return;
            }
            // Our own replacements delete and make the table in one transaction: then it is there.
            let present = Family::ALL.map(|family| nft::tables(family).unwrap_or_default());
            let missing = |table: String| present.iter().any(|tables| !tables.contains(&table));
            failed = false;
            if missing(nft::pods_table(&self.id)) {
                warn!("the table of pods was removed by somebody else, loading it again");
                if let Err(error) = network.run(Network::load_pods_table).await {
                    warn!(%error, "could not load the table of pods");
                    failed = true;
                }
            }
            if missing(nft::services_table(&self.id)) && events.send(Event::TablesLost).await.is_err() {
                return;
            }
        }
    }

    /// Waits until one of our tables was deleted, or may have been while nobody listened.
    async fn deletion(&mut self) -> io::Result<()> {
        loop {
            let mut ready = tokio::select! {
                ready = self.wake.readable() => ready?,
                () = self.monitor.membership().returned() => return Ok(()),
            };
            // First, so that what arrives while reading wakes again.
            ready.clear_ready();
            if self.monitor.deleted() {
                return Ok(());
            }
        }
    }
}
