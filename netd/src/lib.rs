//! The network daemon: bridge, veth, IPAM, nftables Service proxy, DNS.
//!
//! [`run`] is the daemon; [`client`] is what the kubelet uses.
//!
//! | Module | What lives there |
//! |---|---|
//! | [`client`], `server`, `daemon` | the unix socket and what answers it |
//! | `ipam`, `link`, `network` | pods' addresses, interfaces and routes, changed together |
//! | `nft` | tables, over raw nfnetlink |
//! | `netlink` | sockets and messages, nothing about pods or Services |

mod cidr;
pub mod client;
mod config;
mod daemon;
mod ipam;
#[cfg(test)]
mod lab;
mod link;
mod netlink;
mod network;
mod nft;
mod reset;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::Config;
pub use reset::reset;

use daemon::{Answers, Daemon};
use network::Network;
use settings::Settings;

/// Runs the daemon until `shutdown` resolves. Leaves pods' links and the service tables in place on exit, so that
/// traffic goes on; [`reset`] removes them.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let settings = Settings::new(&config)?;
    let network = Network::open(settings.clone(), &config.state_dir)?;
    let daemon = Arc::new(Daemon::new(network));
    let listener = server::listen(&config.socket)
        .map_err(|source| Error::Io { what: format!("listen at {}", config.socket.display()), source })?;
    let cidrs = settings.pod_cidrs.clone();
    daemon.network(move |n| n.apply(&cidrs)).await?;
    daemon.set_missing(None);
    tokio::select! {
        () = server::serve(listener, Arc::new(Answers(Arc::clone(&daemon)))) => {}
        () = shutdown => {}
    }
    Ok(())
}

/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call or netlink request failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refused a change of links, addresses or tables.
    #[error("network: {0}")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API could not be used.
    #[error("API: {0}")]
    Api(String),
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(String),
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        Self::Network(Box::new(error))
    }
}
