//! Connecting to kubelets, pods and services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use keelson_streams::upgrade::BEARER;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{Target, is_proxyable, not_allowed};
use crate::server::Api;
use crate::server::body::Body;
use crate::server::listen::keep_alive;
use crate::{Config, pki};

/// Time to connect, and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to reach kubelets.
#[derive(Debug)]
pub struct Kubelets {
    pki_dir: PathBuf,
    dials_loopback: bool,
}

/// Any connection.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How far the other end is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// A kubelet: its certificate must be our authority's, and it gets ours.
    Cluster,
    /// A kubelet whose certificate does not matter to who asks; it gets ours all the same.
    Unverified,
    /// A pod or service behind `https:`, whose certificate upstream does not verify either.
    Anybody,
}

impl Kubelets {
    /// With `apiserver-kubelet-client.{crt,key}` and `ca.crt` of the configured directory, read at each connection so
    /// that renewed files count.
    pub fn new(config: &Config) -> Self {
        Self {
            pki_dir: config.pki_dir.clone(),
            dials_loopback: config.dials_loopback,
        }
    }

    fn tls(&self, trust: Trust) -> Result<ClientConfig, crate::Error> {
        let failed = |why: &dyn std::fmt::Display| crate::Error::Pki(why.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        if trust == Trust::Anybody {
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
                .with_no_client_auth());
        }
        let builder = if trust == Trust::Unverified {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in pki::certificates(&self.pki_dir.join("ca.crt"))? {
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            builder.with_root_certificates(roots)
        };
        builder
            .with_client_auth_cert(
                pki::certificates(&self.pki_dir.join("apiserver-kubelet-client.crt"))?,
                pki::private_key(&self.pki_dir.join("apiserver-kubelet-client.key"))?,
            )
            .map_err(|error| failed(&error))
    }

    /// Of the addresses that a name has, those that may be dialled; a machine's own name often has loopback among them.
    fn allowed(&self, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Status> {
        let allowed: Vec<SocketAddr> = addresses
            .filter(|address| self.dials_loopback || is_proxyable(address.ip()))
            .collect();
        if allowed.is_empty() {
            return Err(not_allowed());
        }
        Ok(allowed)
    }

    async fn connect(&self, target: &Target, trust: Trust) -> Result<Box<dyn Io>, Status> {
        let place = format!("{}:{}", target.host, target.port);
        let failed = |why: &dyn std::fmt::Display| {
            let message = format!("error dialing backend: dial tcp {place}: {why}");
            match trust {
                Trust::Cluster | Trust::Unverified => Status::internal(&message),
                Trust::Anybody => Status::service_unavailable(message),
            }
        };
        // What a name means is looked up once: the addresses that are checked are those that are dialled.
        let connected = async {
            let addresses = tokio::net::lookup_host((target.host.as_str(), target.port))
                .await
                .map_err(|error| failed(&error))?;
            let allowed = self.allowed(addresses)?;
            TcpStream::connect(allowed.as_slice())
                .await
                .map_err(|error| failed(&error))
        };
        // The timers end attempts to reach what does not answer.
        let stream = match tokio::time::timeout(PATIENCE, connected).await {
            Ok(stream) => stream?,
            Err(_) => return Err(failed(&"i/o timeout")),
        };
        drop(stream.set_nodelay(true));
        keep_alive(&stream);
        if !target.tls {
            return Ok(Box::new(stream));
        }
        let config = self.tls(trust).map_err(|error| failed(&error))?;
        let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(&error))?;
        let connector = TlsConnector::from(Arc::new(config));
        match tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&"TLS handshake timeout")),
        }
    }
}

/// Sends a request on a connection of its own.
pub async fn send(
    api: &Api,
    target: &Target,
    trust: Trust,
    request: Request<Body>,
) -> Result<Response<Incoming>, Status> {
    let io = api.kubelets.connect(target, trust).await?;
    let failed = |error: hyper::Error| {
        Status::service_unavailable(format!(
            "error trying to reach {}:{}: {error}",
            target.host, target.port
        ))
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "proxied connection");
        }
    });
    sender.send_request(request).await.map_err(failed)
}

/// The headers that go on to the other end: everything but what belongs to this hop or names the caller's credentials.
pub fn forwarded(headers: &HeaderMap, host: &str, upgrade: bool) -> HeaderMap {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let mut out = HeaderMap::with_capacity(headers.len());
    let hop = [
        AUTHORIZATION,
        CONNECTION,
        HOST,
        KEEP_ALIVE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for (name, value) in headers {
        if !hop.contains(name) && !name.as_str().starts_with("impersonate-") {
            out.append(name.clone(), value.clone());
        }
    }
    if let Ok(host) = HeaderValue::from_str(host) {
        out.insert(HOST, host);
    }
    if let (true, Some(protocol)) = (upgrade, headers.get(UPGRADE)) {
        out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        out.insert(UPGRADE, protocol.clone());
    }
    // The bearer token may travel as a WebSocket protocol; the other end must not see it.
    let protocol = HeaderName::from_static("sec-websocket-protocol");
    if let Some(offered) = out.get(&protocol).and_then(|value| value.to_str().ok()) {
        let kept: Vec<&str> = offered
            .split(',')
            .map(str::trim)
            .filter(|one| !one.starts_with(BEARER))
            .collect();
        if let Ok(value) = HeaderValue::from_str(&kept.join(", ")) {
            out.insert(protocol, value);
        }
    }
    out
}

/// Whether the client asks to switch protocols.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().contains("upgrade"))
}

/// Accepts every certificate, as upstream's proxy to `https:` pods and services does.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_addresses_of_a_name_the_allowed_are_dialled() {
        let allowed = |dials_loopback: bool, addresses: &[&str]| {
            let kubelets = Kubelets {
                pki_dir: PathBuf::new(),
                dials_loopback,
            };
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            let allowed = kubelets.allowed(addresses).map_err(|status| status.code)?;
            Ok(allowed.iter().map(SocketAddr::to_string).collect::<Vec<_>>())
        };
        let named = ["127.0.1.1:1", "10.0.0.1:1", "[fe80::1]:1", "[fd00::1]:1"];
        assert_eq!(
            allowed(false, &named),
            Ok(vec!["10.0.0.1:1".to_owned(), "[fd00::1]:1".to_owned()])
        );
        assert_eq!(allowed(false, &["127.0.1.1:1", "169.254.169.254:1"]), Err(400));
        assert_eq!(allowed(false, &[]), Err(400));
        assert_eq!(
            allowed(true, &["127.0.1.1:1"]),
            Ok(vec!["127.0.1.1:1".to_owned()])
        );
    }
}
