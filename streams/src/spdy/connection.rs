//! A connection: one task that reads and one that writes, and streams as channels.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::frame::{DATA_PIECE, ResetStatus};
use super::headers::Headers;
use super::reader::{Open, Reader};
use super::writer::{Outgoing, write};
use crate::Closed;

/// Pieces that wait for the consumer of a stream; then the connection is read no further.
pub(super) const INCOMING: usize = 8;
/// Frames that wait for the socket.
const OUTGOING: usize = 4;

/// One end of a connection. Dropping it ends the connection at once; see [`Connection::close`].
#[derive(Debug)]
pub struct Connection {
    accepted: mpsc::Receiver<Stream>,
    outgoing: mpsc::Sender<Outgoing>,
    tasks: JoinSet<()>,
    open: Open,
    next: u32,
}

/// A stream that the client opened.
#[derive(Debug)]
pub struct Stream {
    /// Odd, rising.
    pub id: u32,
    /// What it was opened with.
    pub headers: Headers,
    /// What the other end sends; ends when it closes its side or the connection.
    pub incoming: mpsc::Receiver<Bytes>,
    /// Our side.
    pub sender: StreamSender,
}

/// Our side of a stream.
#[derive(Debug, Clone)]
pub struct StreamSender {
    id: u32,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Connection {
    /// The server's end of a connection on which both speak SPDY from now on.
    pub fn server(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (accept, accepted) = mpsc::channel(1);
        Self::new(io, Some(accept), accepted)
    }

    /// The client's end; it opens streams, and accepts none.
    pub fn client(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (_, accepted) = mpsc::channel(1);
        Self::new(io, None, accepted)
    }

    fn new(
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        accept: Option<mpsc::Sender<Stream>>,
        accepted: mpsc::Receiver<Stream>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let (outgoing, to_write) = mpsc::channel(OUTGOING);
        let open = Open::new();
        let mut tasks = JoinSet::new();
        let reading = Reader::new(reader, open.clone(), accept, outgoing.clone());
        let (reads, reader_ended) = oneshot::channel::<()>();
        tasks.spawn(async move {
            if let Err(error) = reading.run().await {
                tracing::debug!(%error, "SPDY connection ends");
            }
            drop(reads);
        });
        tasks.spawn(async move {
            tokio::select! {
                written = write(writer, to_write) => if let Err(error) = written {
                    tracing::debug!(%error, "SPDY connection cannot be written");
                },
                // An end that hung up reads no more, either: the senders learn it from this end.
                _ = reader_ended => {}
            }
        });
        Self {
            accepted,
            outgoing,
            tasks,
            open,
            next: 1,
        }
    }

    /// The next stream that a client has opened; `None` when the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }

    /// Opens a stream, as a client. What is sent on it may come before the server's reply, which is not waited for: a
    /// refusal ends the stream.
    pub async fn open(&mut self, headers: Headers) -> Result<Stream, Closed> {
        let id = self.next;
        self.next += 2;
        let (consumer, incoming) = mpsc::channel(INCOMING);
        if !self.open.add(id, consumer) {
            return Err(Closed);
        }
        let sender = StreamSender::new(id, self.outgoing.clone());
        sender.push(Outgoing::Open(id, headers.clone())).await?;
        Ok(Stream {
            id,
            headers,
            incoming,
            sender,
        })
    }

    /// Says goodbye once everything sent before is written, and waits until the other end closes.
    pub async fn close(self) {
        let Self {
            mut accepted,
            outgoing,
            mut tasks,
            ..
        } = self;
        let _ = outgoing.send(Outgoing::GoAway(0)).await;
        drop(outgoing);
        accepted.close();
        // The tasks end by themselves when the other end hangs up or the last sender is gone.
        while tasks.join_next().await.is_some() {}
    }
}

impl StreamSender {
    pub(super) fn new(id: u32, outgoing: mpsc::Sender<Outgoing>) -> Self {
        Self { id, outgoing }
    }

    /// Sends, in pieces; waits while the other end reads slowly.
    pub async fn send(&self, mut data: Bytes) -> Result<(), Closed> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(DATA_PIECE));
            self.push(Outgoing::Data(self.id, piece)).await?;
        }
        Ok(())
    }

    /// Ends our side of the stream.
    pub async fn finish(&self) -> Result<(), Closed> {
        self.push(Outgoing::Fin(self.id)).await
    }

    /// Ends the stream with an error.
    pub async fn reset(&self) -> Result<(), Closed> {
        self.push(Outgoing::Reset(self.id, ResetStatus::Cancel)).await
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&self) {
        self.outgoing.closed().await;
    }

    async fn push(&self, frame: Outgoing) -> Result<(), Closed> {
        self.outgoing.send(frame).await.map_err(|_| Closed)
    }
}
