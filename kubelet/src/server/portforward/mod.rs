//! Port-forward: TCP connections into a pod's network namespace.
//!
//! - [`dial`]: connecting from inside the namespace.
//! - [`spdy`]: pairs of SPDY streams, one pair for each connection.
//! - [`channels`]: plain WebSocket, two channels for each port.
//!
//! What kubectl speaks since 1.31, SPDY in WebSocket messages, the API server unpacks.

mod channels;
mod dial;
mod spdy;

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keelson_runtime::node::NodeRuntime;
use keelson_streams::channels::Protocol;
use keelson_streams::spdy::Connection;
use keelson_streams::upgrade::{self, Upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::answer::{Answer, failure, refuse_spdy, switch};
use super::query::{Query, ports};
use super::route::Target;
use super::streams::{choose, find_pod};
use super::{PodLookup, blocking};
use dial::Dialer;

/// The protocol over SPDY.
const PROTOCOL: &str = "portforward.k8s.io";
/// Read from the pod at once.
const PIECE: usize = 16 << 10;

/// Answers a request for port-forwarding.
pub(super) async fn serve(
    request: Request<Incoming>,
    target: Target,
    query: &Query,
    pods: Arc<dyn PodLookup>,
    runtime: NodeRuntime,
) -> Answer {
    let pod = match find_pod(&target, &pods) {
        Ok(pod) => pod,
        Err(answer) => return answer,
    };
    let uid = pod.metadata.uid.unwrap_or_default();
    let id = uid.clone();
    let netns = match blocking(move || runtime.sandbox(&id)).await {
        Ok(Ok(Some(sandbox))) if sandbox.ready => sandbox.netns,
        Ok(Ok(_)) => {
            return failure(
                500,
                &format!("network namespace for pod {:?} is closed", target.pod),
            );
        }
        Ok(Err(error)) => return failure(500, &error.to_string()),
        Err(words) => return failure(500, &words),
    };
    let dialer = Dialer {
        netns,
        pod: target.pod,
        uid,
    };
    match Upgrade::parse(request.headers()) {
        Err(words) => failure(400, words),
        Ok(Upgrade::WebSocket { key, protocols }) => {
            let Some((protocol, name)) = choose(&Protocol::PORT_FORWARD, &protocols) else {
                return failure(400, &format!("unknown subprotocols {protocols:?}"));
            };
            let ports = match ports(query) {
                Ok(ports) => ports,
                Err(words) => return failure(400, &words),
            };
            spawn(request, async move |io| {
                channels::serve(io, protocol, ports, dialer).await;
            });
            switch(upgrade::accept_websocket(&key, name))
        }
        Ok(Upgrade::Spdy { protocols }) => {
            if !protocols.iter().any(|own| own == PROTOCOL) {
                return refuse_spdy(PROTOCOL);
            }
            spawn(request, async move |io| {
                spdy::serve(Connection::server(io), dialer).await;
            });
            switch(upgrade::accept_spdy(PROTOCOL))
        }
    }
}

/// An upgraded connection.
type Io = TokioIo<hyper::upgrade::Upgraded>;

fn spawn<F>(request: Request<Incoming>, then: impl FnOnce(Io) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(io) => then(TokioIo::new(io)).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
}

/// Copies between a client and a connection in the pod, until the pod's side ends or the client is gone.
///
/// The pod's end of input is passed on when the client ends its side, and its output is still read then. The end
/// of `incoming` alone is therefore not the client's end: `send` fails when it is gone.
async fn copy<S>(
    target: TcpStream,
    mut incoming: mpsc::Receiver<Bytes>,
    send: impl Fn(Bytes) -> S,
) -> io::Result<()>
where
    S: Future<Output = bool>,
{
    let (mut from_pod, mut to_pod) = target.into_split();
    let inwards = async {
        while let Some(data) = incoming.recv().await {
            // The pod has closed its side: what follows is dropped, and the other direction says the end.
            if to_pod.write_all(&data).await.is_err() {
                break;
            }
        }
        let _ = to_pod.shutdown().await;
        std::future::pending::<()>().await;
    };
    let outwards = async {
        loop {
            let mut piece = BytesMut::zeroed(PIECE);
            let count = from_pod.read(&mut piece).await?;
            piece.truncate(count);
            if count == 0 || !send(piece.freeze()).await {
                return Ok(());
            }
        }
    };
    tokio::select! {
        done = outwards => done,
        () = inwards => Ok(()),
    }
}
