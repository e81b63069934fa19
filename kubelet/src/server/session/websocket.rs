//! Channels over WebSocket: `v4.channel.k8s.io`, `v5.channel.k8s.io`, their ancestor `channel.k8s.io`, which is also what
//! a client without a list speaks, and the base64 forms.
//!
//! Every message starts with the channel's number. Before version 4, the error channel carries words instead of a Status,
//! and nothing after a success. Version 5 adds channel 255, whose one byte names a channel that its sender closes: the
//! only way to end stdin and still read on.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::{Channel, Client, INPUT, Input, Output, Resizes};

const STDIN: u8 = 0;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// Largest message of a client; kubectl sends 32 KiB at a time.
const MESSAGE_LIMIT: usize = 1 << 20;
/// Messages that wait for the socket.
const OUTGOING: usize = 4;
/// How long a client may take to answer our goodbye.
const LINGER: Duration = Duration::from_secs(5);
/// kubectl gives up when it has got no pong for a minute; see [`read`].
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Protocol {
    /// Name in the handshake.
    pub name: &'static str,
    half_close: bool,
    base64: bool,
    /// The session's end is told in words.
    words: bool,
}

impl Protocol {
    const V5: Self = Self {
        name: "v5.channel.k8s.io",
        half_close: true,
        base64: false,
        words: false,
    };
    const V4: Self = Self {
        name: "v4.channel.k8s.io",
        half_close: false,
        ..Self::V5
    };
    const V4_BASE64: Self = Self {
        name: "v4.base64.channel.k8s.io",
        base64: true,
        ..Self::V4
    };
    const OLD: Self = Self {
        name: "channel.k8s.io",
        words: true,
        ..Self::V4
    };
    const OLD_BASE64: Self = Self {
        name: "base64.channel.k8s.io",
        base64: true,
        ..Self::OLD
    };
    /// Of exec and attach, as a client may ask for them; the first is meant by one that asks for none.
    pub(in crate::server) const ALL: [Self; 5] =
        [Self::OLD, Self::OLD_BASE64, Self::V4, Self::V4_BASE64, Self::V5];
    /// Of port-forward without a tunnel; likewise.
    pub(in crate::server) const PORT_FORWARD: [Self; 2] = [Self::V4, Self::V4_BASE64];
}

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    Data(Channel, Bytes),
    Pong,
    End,
}

/// Limits for a connection: the client's messages, and what piles up before the socket.
pub(in crate::server) fn config() -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 16 << 10;
    config.write_buffer_size = 0;
    config.max_write_buffer_size = 2 * MESSAGE_LIMIT;
    config.max_message_size = Some(MESSAGE_LIMIT);
    config.max_frame_size = Some(MESSAGE_LIMIT);
    config
}

/// Speaks with a client whose handshake is done.
pub(in crate::server) fn connect<T>(io: T, protocol: Protocol) -> Client
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (to_process, input) = mpsc::channel(INPUT);
    let (output, to_client) = mpsc::channel(OUTGOING);
    let pongs = output.downgrade();
    tokio::spawn(async move {
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
        let (sink, mut stream) = socket.split();
        let said_goodbye = tokio::select! {
            said = write(sink, to_client, protocol) => said,
            error = read(&mut stream, to_process, pongs, protocol) => {
                tracing::debug!(?error, "WebSocket client is gone");
                false
            }
        };
        if said_goodbye {
            // Waits for the client's own goodbye, so that the kernel does not reset the connection under what the
            // client has not read yet.
            let rest = async { while let Some(Ok(_)) = stream.next().await {} };
            let _ = tokio::time::timeout(LINGER, rest).await;
        }
    });
    Client {
        input,
        output: Output::WebSocket {
            messages: output,
            words: protocol.words,
        },
    }
}

/// True if the session ended in order, false if the client is gone.
async fn write<T>(
    mut sink: SplitSink<WebSocketStream<T>, Message>,
    mut messages: mpsc::Receiver<Outgoing>,
    protocol: Protocol,
) -> bool
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = match messages.recv().await {
            Some(Outgoing::Data(channel, bytes)) => encode(number(channel), &bytes, protocol),
            Some(Outgoing::Pong) => Message::Pong(Bytes::new()),
            Some(Outgoing::End) | None => break,
        };
        if sink.send(message).await.is_err() {
            return false;
        }
    }
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    sink.send(Message::Close(Some(goodbye))).await.is_ok()
}

fn number(channel: Channel) -> u8 {
    match channel {
        Channel::Stdout => 1,
        Channel::Stderr => 2,
        Channel::Error => 3,
    }
}

/// A message on a channel.
pub(in crate::server) fn encode(number: u8, bytes: &[u8], protocol: Protocol) -> Message {
    if protocol.base64 {
        return Message::text(format!("{}{}", char::from(b'0' + number), BASE64.encode(bytes)));
    }
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(number);
    message.put_slice(bytes);
    Message::Binary(message.freeze())
}

/// Reads until the client is gone. The reason is for the log.
async fn read<T>(
    stream: &mut SplitStream<WebSocketStream<T>>,
    input: mpsc::Sender<Input>,
    pongs: mpsc::WeakSender<Outgoing>,
    protocol: Protocol,
) -> Option<Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut resizes = Resizes::default();
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Some(error),
            None => return None,
        };
        let Some((channel, data)) = decode(message, protocol) else {
            continue;
        };
        let inputs = match channel {
            STDIN if data.is_empty() => continue,
            STDIN => vec![Input::Stdin(data)],
            RESIZE => resizes.push(&data),
            CLOSE if protocol.half_close && data.first() == Some(&STDIN) => vec![Input::StdinClosed],
            // Upstream ignores what is sent to other channels.
            _ => continue,
        };
        for item in inputs {
            let mut item = Some(item);
            while let Some(waiting) = item.take() {
                tokio::select! {
                    permit = input.reserve() => {
                        // Without a permit the session wants no more input; go on for pings and the goodbye.
                        if let Ok(permit) = permit {
                            permit.send(waiting);
                        }
                    }
                    // The process does not read its stdin, so the client's pings are not read, either. An unasked
                    // pong tells it that the connection lives (RFC 6455 5.5.3).
                    () = tokio::time::sleep(SIGN_OF_LIFE) => {
                        if let Some(pongs) = pongs.upgrade() {
                            let _ = pongs.try_send(Outgoing::Pong);
                        }
                        item = Some(waiting);
                    }
                }
            }
        }
    }
}

/// Channel and data of a message; `None` for what belongs to no channel. Whether the message is called text or binary does
/// not matter, as with upstream: Python's client sends text as text.
pub(in crate::server) fn decode(message: Message, protocol: Protocol) -> Option<(u8, Bytes)> {
    let mut bytes = match message {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        _ => return None,
    };
    if bytes.is_empty() {
        return None;
    }
    let channel = bytes.split_to(1)[0];
    if protocol.base64 {
        return Some((channel.wrapping_sub(b'0'), BASE64.decode(&bytes).ok()?.into()));
    }
    Some((channel, bytes))
}
