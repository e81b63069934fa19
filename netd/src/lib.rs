//! The network daemon: bridge, veth, IPAM, nftables Service proxy, DNS.
//!
//! [`run`] is the daemon; [`client`] is what the kubelet uses.
//!
//! | Module | What lives there |
//! |---|---|
//! | [`client`], `server`, `daemon` | the unix socket and what answers it |
//! | `ipam`, `link`, `network` | pods' addresses, interfaces and routes, changed together |
//! | `ranges` | the node's pod ranges, from wanted to in force |
//! | `nft` | tables, over raw nfnetlink |
//! | `guard` | loading them again when somebody else has removed them |
//! | `service`, `proxy` | Services as data, what they mean for the tables, the thread that keeps the two in step |
//! | `dns` | cluster DNS, and forwarding to the node's resolvers |
//! | `watch` | the API |
//! | `conntrack` | forgetting UDP connections to endpoints that are gone |
//! | `netlink` | sockets and messages, nothing about pods or Services |

mod cidr;
mod cidr_cache;
pub mod client;
mod config;
mod conntrack;
mod daemon;
mod dns;
mod guard;
mod ipam;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod lab_services;
mod link;
mod netlink;
mod network;
mod nft;
mod proxy;
mod ranges;
mod requests;
mod reset;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod watch;

pub use config::Config;
pub use reset::reset;

use daemon::Daemon;

/// Runs the daemon until `shutdown` resolves. Leaves pods' links and the service tables in place on exit, so that
/// traffic goes on; [`reset`] removes them.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let daemon = Daemon::start(config).await?;
    tokio::select! {
        outcome = daemon.run() => outcome,
        () = shutdown => Ok(()),
    }
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
    /// A part that works for ever has ended.
    #[error("{0} has ended")]
    Ended(&'static str),
}

impl From<nft::Error> for Error {
    fn from(error: nft::Error) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        Self::Network(Box::new(error))
    }
}
