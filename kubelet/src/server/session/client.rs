//! A client as a session sees it.

use std::time::Duration;

use bytes::Bytes;
use keelson_streams::Closed;
use keelson_streams::channels::{self, Channel, Input, Protocol};
use keelson_streams::spdy::StreamSender;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::status::Outcome;
use crate::server::query::Streams;

/// How long a client may take to read what is left and to answer our goodbye.
const LINGER: Duration = Duration::from_mins(15);

/// A connected client.
pub(in crate::server) struct Client {
    pub(super) input: mpsc::Receiver<Input>,
    pub(super) output: Output,
}

/// The way to the client. Sending waits while the client does not read: nothing piles up.
#[derive(Debug, Clone)]
pub(super) enum Output {
    WebSocket {
        channels: channels::Output,
        /// How the session ended is told in words.
        words: bool,
    },
    Spdy {
        stdout: Option<StreamSender>,
        stderr: Option<StreamSender>,
        error: StreamSender,
    },
}

impl Client {
    /// One that speaks WebSocket, after the handshake. As upstream, an empty message on the first channel that it listens to
    /// tells it that the session is there.
    pub(in crate::server) async fn websocket<T>(io: T, protocol: Protocol, streams: Streams) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (input, channels) = channels::connect(io, protocol, LINGER);
        let first = channels::first(streams.stdout, streams.stderr);
        // A client that is gone is noticed by the session.
        let _ = channels.send(first, Bytes::new()).await;
        let words = protocol.words;
        Self {
            input,
            output: Output::WebSocket { channels, words },
        }
    }
}

impl Output {
    pub(super) async fn send(&self, channel: Channel, bytes: Bytes) -> Result<(), Closed> {
        match self {
            Self::WebSocket { channels, .. } => channels.send(channel, bytes).await,
            Self::Spdy {
                stdout,
                stderr,
                error,
            } => {
                let stream = match channel {
                    Channel::Stdout => stdout.as_ref(),
                    Channel::Stderr => stderr.as_ref(),
                    Channel::Error => Some(error),
                };
                match stream {
                    Some(stream) => stream.send(bytes).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Tells how the session ended.
    pub(super) async fn tell(&self, outcome: &Outcome) -> Result<(), Closed> {
        let status = outcome.status();
        let text = match self {
            Self::WebSocket { words: true, .. } if *outcome == Outcome::Success => return Ok(()),
            Self::WebSocket { words: true, .. } => status.message.into_bytes(),
            // A Status always serializes.
            _ => serde_json::to_vec(&status).unwrap_or_default(),
        };
        self.send(Channel::Error, text.into()).await
    }

    /// Ends all channels, after what was sent.
    pub(super) async fn finish(&self) {
        match self {
            Self::WebSocket { channels, .. } => channels.finish().await,
            Self::Spdy {
                stdout,
                stderr,
                error,
            } => {
                for stream in stdout.iter().chain(stderr).chain([error]) {
                    let _ = stream.finish().await;
                }
            }
        }
    }

    /// Resolves when the client is gone.
    pub(super) async fn closed(&self) {
        match self {
            Self::WebSocket { channels, .. } => channels.closed().await,
            Self::Spdy { error, .. } => error.closed().await,
        }
    }
}
