//! Accepting connections: TCP, TLS, HTTP/1.1 and HTTP/2, with limits against slow and greedy clients.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::Api;
use super::pipeline::{Peer, handle};
use crate::auth::front_proxy;
use crate::pki;

/// Most connections at once; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 4096;
/// Time for the TLS handshake, and for a request's head to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that connections get to finish when the server stops.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes of a request's head.
const MOST_HEAD: usize = 64 << 10;
/// Most streams of one HTTP/2 connection (upstream: 100 for clients that are not trusted, 250 at most).
const MOST_STREAMS: u32 = 250;
/// How often an HTTP/2 peer is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// TLS settings: our certificate, and the authority of clients' certificates.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// From `apiserver.{crt,key}` and `ca.crt` in the PKI directory.
    pub fn load(pki_dir: &Path) -> Result<Self, crate::Error> {
        let failed = |what: &str, why: &dyn std::fmt::Display| crate::Error::Pki(format!("{what}: {why}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in pki::certificates(&pki_dir.join("ca.crt"))? {
            roots.add(certificate).map_err(|error| failed("ca.crt", &error))?;
        }
        // Which of the authorities a certificate is by is asked once more when it has been verified.
        let proxies = pki_dir.join(front_proxy::AUTHORITY);
        if proxies.exists() {
            for certificate in pki::certificates(&proxies)? {
                roots
                    .add(certificate)
                    .map_err(|error| failed(front_proxy::AUTHORITY, &error))?;
            }
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| failed("ca.crt", &error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed("TLS", &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                pki::certificates(&pki_dir.join("apiserver.crt"))?,
                pki::private_key(&pki_dir.join("apiserver.key"))?,
            )
            .map_err(|error| failed("apiserver.crt", &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Serves until the server stops, then gives requests in flight a moment to finish.
pub async fn serve(api: Arc<Api>, listener: TcpListener, tls: Tls) {
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let permit = Arc::clone(&connections).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = api.stopping() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: the pause lets others finish instead of spinning.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        drop(stream.set_nodelay(true));
        let (api, tls) = (Arc::clone(&api), tls.0.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // The timer ends handshakes that never finish.
            let stream = match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake"),
                Err(_) => return tracing::debug!(%peer, "TLS handshake timed out"),
            };
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.clone().into_owned());
            let from = match certificate {
                Some(certificate) if api.authenticator.is_front_proxy(&certificate) => {
                    Peer::Proxy(certificate)
                }
                certificate => Peer::Remote(certificate),
            };
            let handler = Arc::clone(&api);
            let service = service_fn(move |request: Request<Incoming>| {
                let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                let (api, peer) = (Arc::clone(&handler), from.clone());
                async move { Ok::<_, std::convert::Infallible>(handle(api, request, peer).await) }
            });
            let builder = builder();
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = api.stopping() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "connection");
            }
        });
    }
    drop(listener);
    // The timer bounds how long a stop waits for clients that take their time.
    let all = connections.acquire_many(MOST_CONNECTIONS as u32);
    drop(tokio::time::timeout(LINGER, all).await);
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MOST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD as u32)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PATIENCE * 2);
    builder
}
