//! The control plane: API server, store, scheduler, controllers.
//!
//! Layers, each using only those above it in this list: [`object`] (bytes plus metadata), [`store`], [`kinds`] (the
//! table of descriptors), [`auth`] and [`admission`], [`server`] (HTTP), then [`controllers`] and [`scheduler`], which
//! use nothing but the API through a `kube::Client`, and [`election`], which says where they run.

pub mod admission;
pub mod auth;
pub mod bootstrap;
mod config;
pub mod controllers;
pub mod election;
pub mod encryption;
mod go_duration;
pub mod kinds;
pub mod object;
pub mod pairs;
pub mod pki;
mod presence;
mod run;
pub mod scheduler;
pub mod server;
pub mod store;
mod time_zone;

pub use config::Config;
pub use run::run;

/// Why the control plane could not start or go on.
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
    /// The store is damaged or could not be written.
    #[error("store: {0}")]
    Store(String),
    /// Keys or certificates are missing or wrong.
    #[error("certificates: {0}")]
    Pki(String),
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(String),
}
