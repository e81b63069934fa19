//! Streamed answers as WebSocket messages, for clients that ask for an upgrade: logs and watches (upstream's `wsstream`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, Bytes, BytesMut};
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
    let mut splitter = Splitter::new(form);
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
            for message in splitter.split(piece) {
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

/// Makes messages of pieces, which may end in the middle of an event.
#[derive(Debug)]
struct Splitter {
    form: Form,
    rest: BytesMut,
}

impl Splitter {
    fn new(form: Form) -> Self {
        let rest = BytesMut::new();
        Self { form, rest }
    }

    fn split(&mut self, piece: Bytes) -> Vec<Message> {
        let mut messages = Vec::new();
        match self.form.messages {
            Messages::Log if piece.is_empty() => {}
            Messages::Log if self.form.base64 => messages.push(Message::text(BASE64.encode(&piece))),
            Messages::Log => messages.push(Message::Binary(piece)),
            Messages::Events => {
                for line in piece.split_inclusive(|byte| *byte == b'\n') {
                    self.rest.extend_from_slice(line);
                    if line.ends_with(b"\n") {
                        let event = std::mem::take(&mut self.rest);
                        messages.push(Message::text(String::from_utf8_lossy(&event).into_owned()));
                    }
                }
            }
            Messages::Frames => {
                self.rest.extend_from_slice(&piece);
                while let Some(length) = self.rest.first_chunk::<4>() {
                    let length = u32::from_be_bytes(*length) as usize;
                    if self.rest.len() < 4 + length {
                        break;
                    }
                    self.rest.advance(4);
                    messages.push(Message::Binary(self.rest.split_to(length).freeze()));
                }
                if self.rest.is_empty() {
                    // What has been split off would keep the memory of all.
                    self.rest = BytesMut::new();
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_event_however_it_comes() {
        let events: [&[u8]; 3] = [b"{\"a\":1}\n", b"{}\n", b"{\"b\":\"c\"}\n"];
        let text: Vec<u8> = events.concat();
        let frames: Vec<u8> = events
            .iter()
            .flat_map(|event| [&(event.len() as u32).to_be_bytes()[..], event].concat())
            .collect();
        for (messages, bytes) in [(Messages::Events, text), (Messages::Frames, frames)] {
            for size in 1..bytes.len() {
                let mut splitter = Splitter::new(Form {
                    messages,
                    base64: false,
                });
                let split: Vec<Bytes> = bytes
                    .chunks(size)
                    .flat_map(|piece| splitter.split(Bytes::copy_from_slice(piece)))
                    .map(Message::into_data)
                    .collect();
                assert_eq!(split, events, "{messages:?} in pieces of {size}");
            }
        }
    }
}
