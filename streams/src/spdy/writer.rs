//! The task that writes.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;

use super::frame::{self, ResetStatus};
use super::headers::{Encoder, Headers};

/// A frame to write.
#[derive(Debug)]
pub(super) enum Outgoing {
    Open(u32, Headers),
    Reply(u32),
    Data(u32, Bytes),
    Fin(u32),
    Reset(u32, ResetStatus),
    Ping(u32),
    GoAway(u32),
}

/// Writes until the goodbye, or until nobody is left who could send.
pub(super) async fn write<W: AsyncWrite>(
    mut io: WriteHalf<W>,
    mut frames: mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    let mut encoder = Encoder::new();
    while let Some(frame) = frames.recv().await {
        match frame {
            Outgoing::Data(stream, data) => {
                // In one piece: over a WebSocket tunnel each write is a message.
                let mut bytes = frame::data_head(stream, data.len(), false);
                bytes.extend_from_slice(&data);
                io.write_all(&bytes).await?;
            }
            Outgoing::Fin(stream) => io.write_all(&frame::data_head(stream, 0, true)).await?,
            Outgoing::Open(stream, headers) => {
                let headers = encoder.encode(&headers);
                io.write_all(&frame::syn_stream(stream, &headers)).await?;
            }
            Outgoing::Reply(stream) => {
                let headers = encoder.encode(&Headers::default());
                io.write_all(&frame::syn_reply(stream, &headers)).await?;
            }
            Outgoing::Reset(stream, status) => io.write_all(&frame::reset(stream, status)).await?,
            Outgoing::Ping(id) => io.write_all(&frame::ping(id)).await?,
            Outgoing::GoAway(last) => {
                io.write_all(&frame::go_away(last)).await?;
                io.flush().await?;
                return io.shutdown().await;
            }
        }
        if frames.is_empty() {
            io.flush().await?;
        }
    }
    io.shutdown().await
}
