//! From a pod's container to what the runtime is asked to run. Pure but for reading what others fetched.

pub mod command;
pub mod env;
pub mod fields;
pub mod hosts;
pub mod resolv;
pub mod security;
pub mod service_env;
pub mod spec;

#[cfg(test)]
mod tests;

/// Why a container cannot be configured: `CreateContainerConfigError` with this message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A referenced object is missing.
    #[error("{kind} \"{name}\" not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A referenced key is missing.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        /// Key.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
