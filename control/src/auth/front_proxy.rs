//! Callers that an authenticating proxy in front of this server names in headers.
//!
//! The proxy has an authority of its own, `front-proxy-ca.crt` beside the cluster's (kubeadm's names; without the file
//! there is no such proxy). Its certificate proves that the headers are its doing, and nothing else: it is no
//! client's, whatever name it carries. Source: `apiserver/pkg/authentication/request/headerrequest`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::UserInfo;
use super::certificate::Presented;

/// The authority's certificate, in the directory of keys.
pub const AUTHORITY: &str = "front-proxy-ca.crt";
/// The name that the proxy's certificate must have (`--requestheader-allowed-names`).
pub const ALLOWED: &str = "front-proxy-client";
const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA: &str = "x-remote-extra-";

/// Tells the proxy's certificates from clients'.
pub struct FrontProxy {
    proxies: Arc<dyn ClientCertVerifier>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl std::fmt::Debug for FrontProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontProxy").finish_non_exhaustive()
    }
}

impl FrontProxy {
    /// From the authorities in `pki_dir`; `None` if there is none for proxies.
    pub fn load(pki_dir: &Path) -> Result<Option<Self>, crate::Error> {
        let path = pki_dir.join(AUTHORITY);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Self {
            proxies: verifier(&path)?,
            clients: verifier(&pki_dir.join("ca.crt"))?,
        }))
    }

    /// Whether a certificate is by the proxies' authority.
    pub fn issued(&self, certificate: &Presented) -> bool {
        verifies(&self.proxies, &certificate.der)
    }

    /// Whether it is also a client's: both authorities may be one.
    pub fn is_client(&self, certificate: &Presented) -> bool {
        verifies(&self.clients, &certificate.der)
    }

    /// Whom the headers name, if this certificate's owner may name anybody.
    pub fn user(&self, certificate: &Presented, headers: &HeaderMap, now: i64) -> Option<UserInfo> {
        let proxy = certificate.user(now).ok()??;
        if proxy.name != ALLOWED || !self.issued(certificate) {
            return None;
        }
        let all = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).iter();
            values
                .filter_map(|value| value.to_str().ok())
                .map(|value| value.trim().to_owned())
                .collect()
        };
        let first = |name: &str| all(name).into_iter().find(|value| !value.is_empty());
        let mut extra = BTreeMap::new();
        for name in headers.keys() {
            if let Some(key) = name.as_str().strip_prefix(EXTRA) {
                extra.insert(unescape(key), all(name.as_str()));
            }
        }
        Some(UserInfo {
            name: first(USER)?,
            uid: first(UID).unwrap_or_default(),
            groups: all(GROUP),
            extra,
        })
    }
}

/// Removes what is between the proxy and this server.
pub fn strip(headers: &mut HeaderMap) {
    let ours = |name: &str| [USER, UID, GROUP].contains(&name) || name.starts_with(EXTRA);
    let names: Vec<_> = headers
        .keys()
        .filter(|name| ours(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, crate::Error> {
    let failed = |why: String| crate::Error::Pki(format!("{}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in crate::pki::certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| failed(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    Ok(verifier)
}

fn verifies(verifier: &Arc<dyn ClientCertVerifier>, certificate: &CertificateDer<'_>) -> bool {
    verifier
        .verify_client_cert(certificate, &[], UnixTime::now())
        .is_ok()
}

/// Keys of extra attributes are percent-encoded, because header names cannot hold everything; what is no encoding
/// stands for itself.
fn unescape(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        if *first == b'%' {
            let decoded = after
                .first_chunk::<2>()
                .and_then(|[high, low]| Some(hex(*high)? << 4 | hex(*low)?));
            let Some(byte) = decoded else {
                return key.to_owned();
            };
            // Two hexadecimal digits make a byte.
            out.push(byte as u8);
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| key.to_owned())
}
