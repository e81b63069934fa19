//! Streamed answers as WebSocket messages, for clients that ask for an upgrade: logs and watches (upstream's `wsstream`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, Bytes};
use futures::{SinkExt, StreamExt};
use http::header::{HeaderMap, UPGRADE};
use http::{Extensions, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use keelson_streams::upgrade::{self, Upgrade};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::Api;
use super::body::{self, Body};
use super::connect::wants_upgrade;
use super::connections::Place;
use super::metrics::Running;

/// Clients have nothing to say but that they are alive or leave.
const MOST_FROM_CLIENT: usize = 4 << 10;
/// How long a client may be silent before it is asked whether it is still there, and again before it is given up.
const PING: Duration = Duration::from_secs(30);

/// What the messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// Pieces of text, as they come.
    Log,
    /// JSON, an event in each.
    Events,
    /// Protobuf, an event in each, without its length before it.
    Frames,
}

/// How bytes become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    messages: Messages,
    base64: bool,
}

/// The answer, sent as messages if the client has asked for WebSocket and it is a success.
pub fn answer(
    api: &Arc<Api>,
    headers: &HeaderMap,
    extensions: &mut Extensions,
    messages: Messages,
    response: Response<Body>,
) -> Result<Response<Body>, Status> {
    let websocket = headers
        .get(UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !websocket || !wants_upgrade(headers) || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (key, offered) = match Upgrade::parse(headers) {
        Ok(Upgrade::WebSocket { key, protocols }) => (key, protocols),
        Ok(Upgrade::Spdy { .. }) => return Ok(response),
        Err(words) => return Err(Status::bad_request(words)),
    };
    let (protocol, form) = choose(&offered, messages)?;
    let client = extensions
        .remove::<OnUpgrade>()
        .ok_or_else(|| Status::bad_request("this connection cannot be upgraded"))?;
    let (api, content) = (Arc::clone(api), response.into_body());
    let held = (extensions.remove::<Place>(), extensions.remove::<Running>());
    tokio::spawn(async move {
        let _held = held;
        match client.await {
            Ok(io) => tokio::select! {
                () = carry(TokioIo::new(io), content, form) => {}
                () = api.stopping() => {}
            },
            Err(error) => tracing::debug!(%error, "upgrade"),
        }
    });
    Ok(upgrade::accept_websocket(&key, protocol).map(|()| body::full(Bytes::new())))
}

/// The subprotocol to name, and what it means.
fn choose(offered: &[String], messages: Messages) -> Result<(Option<&str>, Form), Status> {
    let plain = Form {
        messages,
        base64: false,
    };
    let Some(first) = offered.first() else {
        return Ok((None, plain));
    };
    // Upstream's watch takes whatever it is called.
    if messages != Messages::Log {
        return Ok((Some(first), plain));
    }
    let base64 = Form {
        base64: true,
        ..plain
    };
    let form = |name: &str| match name {
        "binary.k8s.io" => Some(plain),
        "base64.binary.k8s.io" => Some(base64),
        _ => None,
    };
    offered
        .iter()
        .find_map(|name| Some((Some(name.as_str()), form(name)?)))
        .ok_or_else(|| Status::bad_request(format!("unknown subprotocols {offered:?}")))
}

/// Sends until the content ends or the client leaves.
async fn carry<T>(io: T, mut content: Body, form: Form)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = MOST_FROM_CLIENT;
    config.write_buffer_size = 0;
    config.max_message_size = Some(MOST_FROM_CLIENT);
    config.max_frame_size = Some(MOST_FROM_CLIENT);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let (pings, mut wanted) = tokio::sync::mpsc::channel(1);
    let send = async {
        loop {
            let piece = tokio::select! {
                Some(()) = wanted.recv() => {
                    if sink.send(Message::Ping(Bytes::new())).await.is_err() {
                        return;
                    }
                    continue;
                }
                frame = content.frame() => match frame {
                    Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                    _ => break,
                },
            };
            for message in split(piece, form) {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        }
        let _ = sink.close().await;
    };
    // Reading answers pings and notices the end, also that of a peer that is gone without a word: it answers no more.
    let listen = async {
        let mut asked = false;
        loop {
            match tokio::time::timeout(PING, stream.next()).await {
                Ok(Some(Ok(_))) => asked = false,
                Ok(_) => return,
                Err(_) if asked => return,
                Err(_) => asked = pings.try_send(()).is_ok(),
            }
        }
    };
    tokio::select! {
        () = send => {}
        () = listen => {}
    }
}

/// The messages of a piece, which holds whole events.
fn split(mut piece: Bytes, form: Form) -> Vec<Message> {
    match form.messages {
        Messages::Log if piece.is_empty() => Vec::new(),
        Messages::Log if form.base64 => vec![Message::text(BASE64.encode(&piece))],
        Messages::Log => vec![Message::Binary(piece)],
        Messages::Events => piece
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| Message::text(String::from_utf8_lossy(line).into_owned()))
            .collect(),
        Messages::Frames => {
            let mut frames = Vec::new();
            while piece.len() >= 4 {
                let length = (piece.get_u32() as usize).min(piece.len());
                frames.push(Message::Binary(piece.split_to(length)));
            }
            frames
        }
    }
}
