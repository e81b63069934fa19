//! Certificates and keys of the cluster, and the kubeconfigs that use them.
//!
//! One certificate authority signs everything; the files have kubeadm's names. [`ensure`] is a plain loop: the list
//! of certificates that there must be ([`plan`]) is data, whether a file on disk still fits is a pure decision
//! ([`existing`]), and only what does not fit is issued again ([`issue`]). The authority and the service-account key
//! are never replaced, because everything that was handed out hangs on them; nor is the key that Secrets are encrypted with.

mod existing;
mod files;
mod issue;
mod kubeconfig;
mod plan;
mod request;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

pub use kubeconfig::write_kubeconfig;
pub use request::{Named, SignError, SigningRequest};

use crate::encryption;

/// For whom certificates are made.
#[derive(Debug, Clone)]
pub struct Request {
    /// Addresses and names under which clients reach the API server. The names inside the cluster, `localhost`,
    /// `127.0.0.1`, `::1`, the node's address and the first address of each service CIDR are always added.
    pub api_sans: Vec<String>,
    /// Service CIDRs, e.g. `10.43.0.0/16`.
    pub service_cidrs: Vec<String>,
    /// Cluster domain, `cluster.local`.
    pub cluster_domain: String,
    /// This machine's node name.
    pub node_name: String,
    /// This machine's address.
    pub node_ip: IpAddr,
}

/// Why keys or certificates are not usable.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file does not contain what it should.
    #[error("{} is damaged: {why}; restore it from a backup, or remove it to have it made anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The authority's key or certificate is unusable; making another one would lock out every client.
    #[error(
        "the certificate authority {} is unusable: {why}; restore it from a backup (a new authority would invalidate \
         every certificate and kubeconfig of the cluster)",
        path.display()
    )]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The request names something that cannot be put into a certificate.
    #[error("{what} {value:?}: {why}")]
    Request {
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate could not be made.
    #[error("issuing {name}: {source}")]
    Issue {
        /// Base name of the certificate.
        name: String,
        /// The library's answer.
        #[source]
        source: rcgen::Error,
    },
}

impl From<PkiError> for crate::Error {
    fn from(error: PkiError) -> Self {
        Self::Pki(error.to_string())
    }
}

/// Makes whatever is missing, expired, soon to expire or no longer fitting in `dir`, and leaves the rest alone.
pub fn ensure(dir: &Path, request: &Request) -> Result<(), crate::Error> {
    ensure_at(dir, request, OffsetDateTime::now_utc()).map_err(Into::into)
}

fn ensure_at(dir: &Path, request: &Request, now: OffsetDateTime) -> Result<(), PkiError> {
    let leaves = plan::leaves(request)?;
    files::private_dir(dir)?;
    let authority = issue::authority(dir, now)?;
    for leaf in &leaves {
        if existing::fits(dir, leaf, &authority.der, now)? {
            continue;
        }
        issue::leaf(dir, leaf, &authority, now)?;
    }
    issue::service_account_key(dir)?;
    encryption_key(dir)
}

/// Makes the configuration by which Secrets are encrypted in the store, once. It lies here and not beside the store, so
/// that a copy of the store alone tells no secrets.
fn encryption_key(dir: &Path) -> Result<(), PkiError> {
    let path = dir.join(encryption::FILE);
    if files::exists(&path)? {
        return Ok(());
    }
    let text = encryption::configuration::with_new_key().ok_or_else(|| PkiError::Io {
        what: "making a key for",
        path: path.clone(),
        source: std::io::Error::other("the system has no random numbers"),
    })?;
    files::write(&path, text.as_bytes(), 0o600)
}

/// The certificates of a PEM file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, crate::Error> {
    Ok(existing::certificates(path)?)
}

/// The private key of a PEM file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, crate::Error> {
    let pem = files::read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        PkiError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        }
        .into()
    })
}
