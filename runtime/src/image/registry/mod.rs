//! Registries (OCI distribution spec): pulling into the same verified blobs as an import, and pushing them.
//!
//! - [`client`]: requests to one registry; [`auth`], [`tls`]: how it is convinced of us, and we of it.
//! - [`challenge`], [`range`], [`docker_config`]: what strangers write; pure.
//! - [`document`], [`download`]: manifests into memory, blobs into files.
//! - [`pull`], [`push`]: whole images.

mod auth;
mod challenge;
mod client;
mod docker_config;
mod document;
mod download;
mod failure;
mod pull;
mod push;
mod range;
mod tls;

use std::path::PathBuf;

use super::{Error, Reference};
pub(super) use challenge::Challenge;
pub use docker_config::DockerConfig;
pub(super) use download::Downloads;
pub(super) use pull::Pull;
pub(super) use push::{Blob as PushBlob, Push, push};

/// Who we say we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// User and password.
    Password(String, String),
    /// A refresh token of the registry's token service (`identitytoken` of a docker configuration).
    IdentityToken(String),
    /// A token for the registry itself (`registrytoken`).
    RegistryToken(String),
}

/// Secrets are not for logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password(..) => "Password",
            Self::IdentityToken(_) => "IdentityToken",
            Self::RegistryToken(_) => "RegistryToken",
        })
    }
}

/// How a registry is spoken to.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Who we say we are.
    pub credentials: Credentials,
    /// `Some(false)`: take any certificate, and do without TLS if the registry has none. `Some(true)`: insist on TLS on
    /// this machine as well. `None`: TLS, but registries on this machine (`localhost`, loopback addresses) may do
    /// without and have any certificate, as Docker has it.
    pub tls_verify: Option<bool>,
    /// PEM files of further authorities to trust.
    pub authorities: Vec<PathBuf>,
}

/// Runs a conversation with a registry on this thread, which must not be one that runs async tasks.
pub(super) fn block_on<T>(what: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::io("starting a conversation with a registry", source))?
        .block_on(what)
}

fn pull_failed(reference: &Reference, reason: impl std::fmt::Display) -> Error {
    Error::Pull {
        reference: reference.to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
