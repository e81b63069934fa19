//! The node agent: pod workers, probes, volumes, the server on 10250.

//!
//! [`run`] is the agent. Inside, decisions are pure (`pod`: what to do next, `status`: what to say, `container`: what to
//! run, `spec`: what was asked for) and thin layers act on them (`agent`: who exists, `worker`: one task per pod,
//! `volume`, `probe`, `node`, `event`, `cache`, `server`).

mod agent;
mod cache;
mod config;
mod container;
mod event;
mod node;
mod pod;
mod probe;
mod registry;
pub mod server;
mod spec;
mod status;
mod volume;
mod worker;

pub use agent::run;
pub use config::Config;

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
