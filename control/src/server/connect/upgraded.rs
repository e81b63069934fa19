//! Clients' connections after an upgrade, when no HTTP is spoken on them any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{Extensions, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use keelson_streams::channels::PARTING;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::frames::Frames;
use super::transport::Io;
use crate::server::Api;
use crate::server::body::Body;
use crate::server::connections::Place;
use crate::server::metrics::Running;

/// Read at once from a server that sends WebSocket messages.
const PIECE: usize = 32 << 10;
/// How long one end may take to notice that the other has ended.
const LINGER: Duration = Duration::from_secs(5);

/// The refusal of an upgrade on a connection that carries several requests.
pub fn no_upgrade() -> Status {
    Status::bad_request("this connection cannot be upgraded")
}

/// The client's end of a connection that it wants upgraded.
#[derive(Debug)]
pub struct Client {
    upgrade: OnUpgrade,
    place: Option<Place>,
    running: Option<Running>,
}

/// A client's stream. It holds the client's place among the connections and requests for as long as it is open.
#[derive(Debug)]
pub struct Upgraded {
    io: TokioIo<hyper::upgrade::Upgraded>,
    #[expect(dead_code, reason = "held, not read")]
    place: Option<Place>,
    #[expect(dead_code, reason = "held, not read")]
    running: Option<Running>,
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, to)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Client {
    /// Waits until the client has its answer; what follows is no HTTP.
    pub async fn switched(self) -> Result<Upgraded, hyper::Error> {
        Ok(Upgraded {
            io: TokioIo::new(self.upgrade.await?),
            place: self.place,
            running: self.running,
        })
    }

    /// Its place among the connections.
    pub fn place(&self) -> Option<Place> {
        self.place.clone()
    }

    /// Out of its request.
    pub fn of(extensions: &mut Extensions) -> Option<Self> {
        Some(Self {
            upgrade: extensions.remove()?,
            place: extensions.remove(),
            running: extensions.remove(),
        })
    }
}

/// Passes an answer on. If both ends switch protocols, their streams are joined until either ends or the server stops.
pub fn pass(api: &Arc<Api>, client: Option<Client>, mut response: Response<Incoming>) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(client) = client {
            let protocol = response.headers().get(UPGRADE);
            let frames =
                protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
            let server = hyper::upgrade::on(&mut response);
            tokio::spawn(join(Arc::clone(api), client, server, frames));
        }
        let (mut parts, _) = response.into_parts();
        parts.extensions.clear();
        return Response::from_parts(parts, crate::server::body::full(bytes::Bytes::new()));
    }
    let (mut parts, body) = response.into_parts();
    for name in [
        CONNECTION,
        TRANSFER_ENCODING,
        HeaderName::from_static("keep-alive"),
    ] {
        parts.headers.remove(name);
    }
    parts.extensions.clear();
    Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
}

async fn join(api: Arc<Api>, client: Client, server: OnUpgrade, frames: bool) {
    let (client, server) = match tokio::try_join!(client.switched(), server) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(%error, "upgrade"),
    };
    let server = TokioIo::new(server);
    let carry = async {
        if frames {
            messages(client, server).await;
        } else {
            carry(client, server).await;
        }
    };
    tokio::select! {
        () = carry => {}
        () = api.stopping() => {}
    }
}

/// Joins two ends, until either ends.
pub async fn carry(client: impl Io, server: impl Io) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    either(copy(from_client, to_server), copy(from_server, to_client)).await;
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// Runs both ways until one ends, of which the other gets a moment to take notice: an end that does not would hold the
/// connection for ever.
async fn either(
    up: impl Future<Output = std::io::Result<()>>,
    down: impl Future<Output = std::io::Result<()>>,
) {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    let (first, second) = tokio::select! {
        done = &mut up => (done, tokio::time::timeout(LINGER, down).await),
        done = &mut down => {
            let patience = if done.is_ok() { LINGER } else { PARTING };
            (done, tokio::time::timeout(patience, up).await)
        }
    };
    for done in [Ok(first), second].into_iter().flatten() {
        if let Err(error) = done {
            tracing::debug!(%error, "stream");
        }
    }
}

/// Joins two ends that speak WebSocket; the server's messages go on one by one.
async fn messages(client: impl Io, server: impl Io) {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, to_server) = tokio::io::split(server);
    let down = async {
        let mut frames = Frames::default();
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match from_server.read(&mut buffer).await {
                Ok(0) => return to_client.shutdown().await,
                Ok(count) => count,
                Err(error) => {
                    // What has come is the client's.
                    to_client.shutdown().await?;
                    return Err(error);
                }
            };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(frames.piece(rest));
                to_client.write_all(piece).await?;
                to_client.flush().await?;
                rest = others;
            }
        }
    };
    either(copy(from_client, to_server), down).await;
}
