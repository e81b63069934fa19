//! The node agent: pod workers, probes, volumes, the server on 10250.

mod config;
pub mod server;

pub use config::Config;

/// Runs the agent until `shutdown` resolves. Containers go on running afterwards.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    drop(config);
    shutdown.await;
    Ok(())
}

/// Why the agent could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
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
    Api(#[from] kube::Error),
    /// The host lacks something, or the configuration is wrong; says what to do.
    #[error("{0}")]
    Host(String),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] keelson_runtime::node::Error),
    /// The image store failed.
    #[error(transparent)]
    Image(#[from] keelson_runtime::image::Error),
}
