//! Accepting connections: TCP, TLS, HTTP/1.1 and HTTP/2, with limits against slow and greedy clients.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Api;
use super::connections::Connections;
use super::cut::{self, Cut, Streams, Unsent};
use super::host;
use super::pipeline::{Peer, handle};
use crate::auth::{Presented, front_proxy};
use crate::pki;

/// Time for the TLS handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for a request's head to arrive, from the end of the one before it on: an idle connection must be good for a client that
/// asks again now and then (upstream: 32 s for a head, 90 s for an idle connection). Who only begins heads keeps nobody out.
const HEAD: Duration = Duration::from_secs(90);
/// Time that connections get to finish when the server stops.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes of a request's head.
const MOST_HEAD: usize = 64 << 10;
/// Most of its lines over HTTP/1.1, of which each group that is impersonated, or that an authenticating proxy tells, is one.
/// (hyper takes 64 bytes for each at every request: with a thousand that was a thirtieth of what creating a pod costs.)
const MOST_HEADERS: usize = 448;
/// Most streams of one HTTP/2 connection (upstream: 100 for clients that are not trusted, 250 at most).
const MOST_STREAMS: u32 = 250;
/// Most bytes that wait on one stream of an HTTP/2 connection for a client that does not read.
const MOST_WAITING: usize = 64 << 10;
/// How often an HTTP/2 peer is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How often a silent connection is asked whether its other end is there.
const ALIVE: Duration = Duration::from_secs(30);

/// Lets the kernel find out when the other end is gone without a word.
pub fn keep_alive(stream: &TcpStream) {
    let alive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE);
    drop(SockRef::from(stream).set_tcp_keepalive(&alive));
}

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
    let connections = Connections::default();
    loop {
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
        let place = tokio::select! {
            Some(place) = connections.enter() => place,
            () = api.stopping() => break,
        };
        drop(stream.set_nodelay(true));
        // One that is gone without a word must not hold a session for ever.
        keep_alive(&stream);
        let stranger = Connections::stranger(&place);
        let (api, tls) = (Arc::clone(&api), tls.0.clone());
        let task = tokio::spawn(async move {
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
                .map(|certificate| Arc::new(Presented::new(certificate.clone().into_owned())));
            let from = match certificate {
                Some(certificate) if api.authenticator.is_front_proxy(&certificate) => {
                    place.claim_vital(front_proxy::AUTHORITY);
                    Peer::Proxy(certificate)
                }
                Some(certificate) => {
                    if let Ok(user) = api
                        .authenticator
                        .authenticate(Some(&certificate), &HeaderMap::new())
                    {
                        place.claim(&user);
                    }
                    Peer::Remote(Some(certificate))
                }
                None => Peer::Remote(None),
            };
            let handler = Arc::clone(&api);
            let service = service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                request.extensions_mut().insert(place.clone());
                let (api, peer) = (Arc::clone(&handler), from.clone());
                async move {
                    Ok::<_, Infallible>(match host::check(&request) {
                        Ok(()) => handle(api, request, peer).await,
                        Err(refused) => refused,
                    })
                }
            });
            let unsent = Arc::<Unsent>::default();
            let builder = builder(HEAD, cut::PATIENCE, &unsent);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = Cut::unless(cut::PATIENCE, Arc::clone(&unsent), async {
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = unsent.stalled(2 * cut::PATIENCE) => Err("the ends of answers are not taken".into()),
                    () = api.stopping() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            });
            match ended.await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%peer, %error, "connection"),
                None => tracing::debug!(%peer, "answers are not taken"),
            }
        });
        connections.add(stranger, task.abort_handle());
    }
    drop(listener);
    // The timer bounds how long a stop waits for clients that take their time.
    connections.ended(LINGER).await;
}

/// `patience` is with clients that take nothing of an answer.
fn builder(head: Duration, patience: Duration, unsent: &Arc<Unsent>) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams {
        patience,
        unsent: Arc::clone(unsent),
    });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD as u32)
        .max_send_buf_size(MOST_WAITING)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PATIENCE * 2);
    builder
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::body::{self, Body};
    use super::*;

    /// The client's end of a connection with little patience.
    fn connection() -> DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 10);
        tokio::spawn(async move {
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(body::full("answer")))
            });
            let builder = builder(
                Duration::from_millis(300),
                Duration::from_millis(300),
                &Arc::default(),
            );
            drop(
                builder
                    .serve_connection_with_upgrades(TokioIo::new(server), service)
                    .await,
            );
        });
        client
    }

    /// Answers without end.
    async fn endless(_: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let pieces = futures::stream::repeat(Bytes::from(vec![0; 1 << 10]));
        Ok(Response::new(cut::watched(body::stream(pieces))))
    }

    #[tokio::test]
    async fn answers_that_are_not_taken_are_cut_off() {
        let patience = Duration::from_millis(300);
        let long = Duration::from_secs(5);
        for http2 in [false, true] {
            let (client, server) = tokio::io::duplex(1 << 20);
            tokio::spawn(async move {
                let builder = builder(Duration::from_mins(1), patience, &Arc::default());
                let connection = builder.serve_connection(TokioIo::new(server), service_fn(endless));
                drop(Cut::unless(patience, Arc::default(), connection).await);
            });
            if !http2 {
                let mut client = client;
                client
                    .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    .await
                    .unwrap();
                // The server's end of the connection is closed without a byte being read.
                let closed = async {
                    while client.write_all(b"a").await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(long, closed).await.expect("kept for ever");
                continue;
            }
            let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(1 << 10)
                .handshake(TokioIo::new(client))
                .await
                .unwrap();
            let connection = tokio::spawn(connection);
            let empty = || Request::get("http://x/").body(body::full("")).unwrap();
            let mut stuck = sender.send_request(empty()).await.unwrap();
            // Only the stream is cut off.
            let mut live = sender.send_request(empty()).await.unwrap();
            let other = async {
                loop {
                    live.frame().await.unwrap().unwrap();
                }
            };
            let reset = async {
                // What has been sent comes, and then the error.
                tokio::time::sleep(patience * 2).await;
                while let Some(Ok(_)) = stuck.frame().await {}
            };
            tokio::select! {
                () = other => {}
                () = reset => {}
                () = tokio::time::sleep(long) => panic!("kept for ever"),
            }
            assert!(!connection.is_finished());
        }
    }

    #[tokio::test]
    async fn heads_that_do_not_end_are_given_up() {
        let mut slow = connection();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        // A byte now and then does not help: the time is that of the whole head.
        let drip = async {
            while slow.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), drip)
            .await
            .expect("served for ever");

        let mut idle = connection();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut all = String::new();
        let read = idle.read_to_string(&mut all);
        tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .expect("idle for ever")
            .unwrap();
        assert!(all.ends_with("answer"), "{all}");
    }
}
