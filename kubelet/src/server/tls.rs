//! The listening side of TLS: certificates from files, clients checked against the cluster's authority.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// Accepts connections with what the files say at that time: certificates are renewed while the server runs.
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    times: Times,
    acceptor: TlsAcceptor,
}

/// When the files were written; different times mean different files.
type Times = [Option<SystemTime>; 3];

impl Tls {
    /// Reads the files for the first time.
    pub(super) fn new(certificate: &Path, key: &Path, client_ca: &Path) -> Result<Self, Error> {
        let times = times([certificate, key, client_ca]);
        let acceptor = TlsAcceptor::from(Arc::new(config(certificate, key, client_ca)?));
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.to_owned(),
            loaded: Mutex::new(Loaded { times, acceptor }),
        })
    }

    /// For the next connection. Files that cannot be used (half-written, say) change nothing.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times([&self.certificate, &self.key, &self.client_ca]);
        if times != loaded.times {
            match config(&self.certificate, &self.key, &self.client_ca) {
                Ok(config) => {
                    *loaded = Loaded {
                        times,
                        acceptor: TlsAcceptor::from(Arc::new(config)),
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot load renewed certificates"),
            }
        }
        loaded.acceptor.clone()
    }
}

fn times(paths: [&Path; 3]) -> Times {
    paths.map(|path| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    })
}

/// Reads the files. A client without certificate is let in, since it may have a token; one with a certificate of
/// somebody else is not.
fn config(certificate: &Path, key: &Path, client_ca: &Path) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(client_ca)? {
        roots.add(authority).map_err(|error| wrong(client_ca, &error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| wrong(client_ca, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Host(format!("TLS: {error}")))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(certificate)?, key_der)
        .map_err(|error| wrong(certificate, &error))?;
    // Upgrades need HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::Host(format!("{}: {error}", path.display()))
}
