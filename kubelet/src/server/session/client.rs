//! A client as a session sees it.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::status::Outcome;
use super::websocket;
use crate::server::spdy::StreamSender;

/// What waits to be written to the process; further input is not read from the client.
pub(super) const INPUT: usize = 8;
/// Longest JSON of a terminal size that is not complete yet.
const RESIZE_LIMIT: usize = 1024;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Input {
    Stdin(Bytes),
    StdinClosed,
    Resize { columns: u16, rows: u16 },
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Channel {
    Stdout,
    Stderr,
    /// The status at the end.
    Error,
}

/// A connected client.
pub(in crate::server) struct Client {
    pub(super) input: mpsc::Receiver<Input>,
    pub(super) output: Output,
}

/// The way to the client. Sending waits while the client does not read: nothing piles up.
#[derive(Debug, Clone)]
pub(super) enum Output {
    WebSocket {
        messages: mpsc::Sender<websocket::Outgoing>,
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
    /// What it sends next; `None` when it is gone.
    pub(in crate::server) async fn next(&mut self) -> Option<Input> {
        self.input.recv().await
    }
}

/// The client is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Output {
    pub(super) async fn send(&self, channel: Channel, bytes: Bytes) -> Result<(), Gone> {
        match self {
            Self::WebSocket { messages, .. } => messages
                .send(websocket::Outgoing::Data(channel, bytes))
                .await
                .map_err(|_| Gone),
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
                    Some(stream) => stream.send(bytes).await.map_err(|_| Gone),
                    None => Ok(()),
                }
            }
        }
    }

    /// Tells how the session ended.
    pub(super) async fn tell(&self, outcome: &Outcome) -> Result<(), Gone> {
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
            Self::WebSocket { messages, .. } => {
                let _ = messages.send(websocket::Outgoing::End).await;
            }
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
            Self::WebSocket { messages, .. } => messages.closed().await,
            Self::Spdy { error, .. } => error.closed().await,
        }
    }
}

/// Terminal sizes from a stream of JSON objects, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Resizes {
    partial: BytesMut,
}

impl Resizes {
    /// Takes a piece and returns the sizes that are complete. Nonsense is dropped.
    pub(super) fn push(&mut self, piece: &[u8]) -> Vec<Input> {
        // `{"Width": 80, "Height": 24}`; Go reads names in any case, and `@kubernetes/client-node` writes small letters.
        #[derive(Deserialize)]
        struct Size {
            #[serde(alias = "Width")]
            width: u16,
            #[serde(alias = "Height")]
            height: u16,
        }
        if self.partial.len() + piece.len() > RESIZE_LIMIT {
            self.partial.clear();
            return Vec::new();
        }
        self.partial.extend_from_slice(piece);
        let mut sizes = serde_json::Deserializer::from_slice(&self.partial).into_iter::<Size>();
        let mut found = Vec::new();
        let used = loop {
            let used = sizes.byte_offset();
            match sizes.next() {
                Some(Ok(size)) => found.push(Input::Resize {
                    columns: size.width,
                    rows: size.height,
                }),
                Some(Err(error)) if error.is_eof() => break used,
                Some(Err(_)) | None => break self.partial.len(),
            }
        };
        let _ = self.partial.split_to(used);
        found
    }
}
