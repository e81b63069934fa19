//! Channels over WebSocket: `v4.channel.k8s.io`, `v5.channel.k8s.io`, their ancestor `channel.k8s.io`, which is also what
//! a client without a list speaks, and the base64 forms.
//!
//! Every message starts with the channel's number. Before version 4, the error channel carries words instead of a Status,
//! and nothing after a success. Version 5 adds channel 255, whose one byte names a channel that its sender closes: the
//! only way to end stdin and still read on.

mod protocol;
mod resizes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Closed;
pub use protocol::{Protocol, decode, encode};
pub use resizes::{Resizes, Size};

const STDIN: u8 = 0;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// Largest message of a client; kubectl sends 32 KiB at a time.
const MESSAGE_LIMIT: usize = 1 << 20;
/// Data is handed on in pieces of at most this size.
const PIECE: usize = 32 << 10;
/// Pieces that wait to be handed on; no further message is read from the client. What they are pieces of stays in memory:
/// with the message that is being read, a client that is not listened to costs three times [`MESSAGE_LIMIT`] at most.
const INCOMING: usize = 2;
/// How long passing on may take of what a client had sent before it went away.
pub const PARTING: Duration = Duration::from_secs(30);
/// Messages that wait for the socket.
const OUTGOING: usize = 4;
/// kubectl gives up when it has got no pong for a minute; see [`read`].
const SIGN_OF_LIFE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 10_000 });

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// Data for stdin.
    Stdin(Bytes),
    /// The end of stdin.
    StdinClosed,
    /// The size of its terminal.
    Resize(Size),
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, or all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
    /// The status at the end.
    Error,
}

/// The first channel that a client listens to which has asked for these outputs.
pub fn first(stdout: bool, stderr: bool) -> Channel {
    if stdout {
        Channel::Stdout
    } else if stderr {
        Channel::Stderr
    } else {
        Channel::Error
    }
}

/// The way to a client. Sending waits while the client does not read: nothing piles up.
#[derive(Debug, Clone)]
pub struct Output(mpsc::Sender<Outgoing>);

/// What is to be sent.
#[derive(Debug)]
enum Outgoing {
    Data(Channel, Bytes),
    Pong,
    End,
}

impl Output {
    /// Sends on a channel.
    pub async fn send(&self, channel: Channel, bytes: Bytes) -> Result<(), Closed> {
        let sent = self.0.send(Outgoing::Data(channel, bytes)).await;
        sent.map_err(|_| Closed)
    }

    /// Says goodbye after what was sent. Without it, the connection ends as if it were cut: a client that gets a goodbye
    /// and no status takes that for a success.
    pub async fn finish(&self) {
        let _ = self.0.send(Outgoing::End).await;
    }

    /// Resolves when the client is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Limits for a connection: the client's messages, and what piles up before the socket.
pub fn config() -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 16 << 10;
    config.write_buffer_size = 0;
    config.max_write_buffer_size = 2 * MESSAGE_LIMIT;
    config.max_message_size = Some(MESSAGE_LIMIT);
    config.max_frame_size = Some(MESSAGE_LIMIT);
    config
}

/// Speaks with a client whose handshake is done. After the goodbye the client may take as long as `linger` to read what was
/// sent and to answer: closed earlier, the kernel would drop what it has not read yet as soon as the client sends a ping.
///
/// Returns what the client sends, which ends when it is gone, and the way to it.
pub fn connect<T>(io: T, protocol: Protocol, linger: Duration) -> (mpsc::Receiver<Input>, Output)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (to_process, input) = mpsc::channel(INCOMING);
    let (output, to_client) = mpsc::channel(OUTGOING);
    let pongs = output.downgrade();
    tokio::spawn(async move {
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
        let (mut sink, mut stream) = socket.split();
        let ended = {
            let mut reading = std::pin::pin!(read(&mut stream, to_process, pongs, protocol));
            let ended = tokio::select! {
                ended = write(&mut sink, to_client, protocol) => ended,
                error = &mut reading => {
                    tracing::debug!(?error, "WebSocket client is gone");
                    Ended::Dropped
                }
            };
            if ended == Ended::Broken {
                // It listens no more; what it had sent is passed on all the same.
                let _ = tokio::time::timeout(PARTING, reading).await;
            }
            ended
        };
        if ended == Ended::Finished {
            let goodbye = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            let part = async {
                if sink.send(Message::Close(Some(goodbye))).await.is_ok() {
                    while let Some(Ok(_)) = stream.next().await {}
                }
            };
            // The timer ends clients that neither read nor leave.
            let _ = tokio::time::timeout(linger, part).await;
        }
    });
    (input, Output(output))
}

/// How the way to the client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// With all said.
    Finished,
    /// The session was dropped, or the client had hung up.
    Dropped,
    /// The client takes no more.
    Broken,
}

async fn write<T>(
    sink: &mut SplitSink<WebSocketStream<T>, Message>,
    mut messages: mpsc::Receiver<Outgoing>,
    protocol: Protocol,
) -> Ended
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = match messages.recv().await {
            Some(Outgoing::Data(channel, bytes)) => encode(number(channel), &bytes, protocol),
            Some(Outgoing::Pong) => Message::Pong(Bytes::new()),
            Some(Outgoing::End) => return Ended::Finished,
            None => return Ended::Dropped,
        };
        if sink.send(message).await.is_err() {
            return Ended::Broken;
        }
    }
}

fn number(channel: Channel) -> u8 {
    match channel {
        Channel::Stdout => 1,
        Channel::Stderr => 2,
        Channel::Error => 3,
    }
}

fn pieces(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let piece = data.split_to(data.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    })
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
            STDIN => pieces(data).map(Input::Stdin).collect(),
            RESIZE => resizes.push(&data).into_iter().map(Input::Resize).collect(),
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
