//! A connection: one task that reads and one that writes, and streams as channels.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::frame::{self, Control, DATA_PIECE, HEAD, Head, Malformed, ResetStatus};
use super::headers::{Decoder, Encoder, Headers};

/// Streams open at once on one connection.
const STREAMS: usize = 1024;
/// Pieces that wait for the consumer of a stream; then the connection is read no further.
const INCOMING: usize = 8;
/// How long a client may take to hang up after the goodbye.
const LINGER: Duration = Duration::from_secs(5);
/// Frames that wait for the socket.
const OUTGOING: usize = 4;

/// A server's side of a connection. Dropping it ends the connection at once; see [`Connection::close`].
pub(crate) struct Connection {
    accepted: mpsc::Receiver<Stream>,
    outgoing: mpsc::Sender<Outgoing>,
    tasks: JoinSet<()>,
}

/// A stream that the client opened.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Odd, rising.
    pub id: u32,
    /// What it was opened with.
    pub headers: Headers,
    /// What the client sends; ends when it closes its side or the connection.
    pub incoming: mpsc::Receiver<Bytes>,
    /// Our side.
    pub sender: StreamSender,
}

/// Our side of a stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamSender {
    id: u32,
    outgoing: mpsc::Sender<Outgoing>,
}

/// The connection is gone.
#[derive(Debug)]
pub(crate) struct Closed;

#[derive(Debug)]
enum Outgoing {
    Reply(u32),
    Data(u32, Bytes),
    Fin(u32),
    Reset(u32, ResetStatus),
    Ping(u32),
    GoAway(u32),
}

impl Connection {
    /// Takes over a connection on which both sides speak SPDY from now on.
    pub(crate) fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let (outgoing, to_write) = mpsc::channel(OUTGOING);
        let (accept, accepted) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let reading = Reader {
            io: reader,
            decoder: Decoder::new(),
            streams: HashMap::new(),
            last: 0,
            accept,
            outgoing: outgoing.clone(),
        };
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
                // A client that hung up reads no more, either: the senders learn it from this end.
                _ = reader_ended => {}
            }
        });
        Self {
            accepted,
            outgoing,
            tasks,
        }
    }

    /// The next stream; `None` when the connection has ended.
    pub(crate) async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }

    /// Says goodbye once everything sent before is written, and waits until the client closes.
    pub(crate) async fn close(self) {
        let Self {
            mut accepted,
            outgoing,
            mut tasks,
        } = self;
        let _ = outgoing.send(Outgoing::GoAway(0)).await;
        drop(outgoing);
        accepted.close();
        // The tasks end by themselves when the client hangs up or the last sender is gone.
        while tasks.join_next().await.is_some() {}
    }
}

impl StreamSender {
    /// Sends, in pieces; waits while the client reads slowly.
    pub(crate) async fn send(&self, mut data: Bytes) -> Result<(), Closed> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(DATA_PIECE));
            self.push(Outgoing::Data(self.id, piece)).await?;
        }
        Ok(())
    }

    /// Ends our side of the stream.
    pub(crate) async fn finish(&self) -> Result<(), Closed> {
        self.push(Outgoing::Fin(self.id)).await
    }

    /// Ends the stream with an error.
    pub(crate) async fn reset(&self) -> Result<(), Closed> {
        self.push(Outgoing::Reset(self.id, ResetStatus::Cancel)).await
    }

    /// Resolves when the connection has ended.
    pub(crate) async fn closed(&self) {
        self.outgoing.closed().await;
    }

    async fn push(&self, frame: Outgoing) -> Result<(), Closed> {
        self.outgoing.send(frame).await.map_err(|_| Closed)
    }
}

async fn write<W: AsyncWrite>(mut io: WriteHalf<W>, mut frames: mpsc::Receiver<Outgoing>) -> io::Result<()> {
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

struct Reader<R> {
    io: ReadHalf<R>,
    decoder: Decoder,
    /// Streams whose client side is open.
    streams: HashMap<u32, mpsc::Sender<Bytes>>,
    last: u32,
    accept: mpsc::Sender<Stream>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl<R: AsyncRead> Reader<R> {
    /// Reads until the client hangs up (`Ok`) or breaks the protocol.
    async fn run(mut self) -> io::Result<()> {
        let outgoing = self.outgoing.clone();
        loop {
            let mut head = [0; HEAD];
            tokio::select! {
                read = self.io.read_exact(&mut head) => match read {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    read => read?,
                },
                // The writer has ended. What the client still sends must be read, or closing the socket would make
                // the kernel reset the connection and drop what the client has not read yet.
                () = outgoing.closed() => {
                    let mut nowhere = tokio::io::sink();
                    let rest = tokio::io::copy(&mut self.io, &mut nowhere);
                    // Waits for the client to hang up, which it does at once when it is one of ours.
                    let _ = tokio::time::timeout(LINGER, rest).await;
                    return Ok(());
                }
            };
            match Head::parse(head).map_err(io::Error::other)? {
                Head::Data { stream, fin, length } => self.data(stream, fin, length).await?,
                Head::Control { kind, flags, length } => {
                    let mut body = BytesMut::zeroed(length);
                    self.io.read_exact(&mut body).await?;
                    let control = Control::parse(kind, flags, &body.freeze()).map_err(io::Error::other)?;
                    if !self.control(control).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Hands data on in bounded pieces, however long the frame is.
    async fn data(&mut self, stream: u32, fin: bool, mut length: usize) -> io::Result<()> {
        if !self.streams.contains_key(&stream) {
            self.answer(Outgoing::Reset(stream, ResetStatus::InvalidStream))
                .await;
        }
        while length > 0 {
            let mut piece = BytesMut::zeroed(length.min(DATA_PIECE));
            self.io.read_exact(&mut piece).await?;
            length -= piece.len();
            // Waits for a slow consumer. One that is gone wants no more, and the rest is skipped.
            if let Some(consumer) = self.streams.get(&stream)
                && consumer.send(piece.freeze()).await.is_err()
            {
                self.streams.remove(&stream);
            }
        }
        if fin {
            self.streams.remove(&stream);
        }
        Ok(())
    }

    /// False when the connection is to end.
    async fn control(&mut self, control: Control) -> io::Result<bool> {
        match control {
            Control::SynStream { stream, fin, headers } => {
                let headers = self.decoder.decode(&headers).map_err(io::Error::other)?;
                return self.open(stream, fin, headers).await;
            }
            Control::Headers { headers } => {
                self.decoder.decode(&headers).map_err(io::Error::other)?;
            }
            Control::Reset { stream } => {
                self.streams.remove(&stream);
            }
            // Even ids are ours, and we send none.
            Control::Ping { id } if id % 2 == 1 => self.answer(Outgoing::Ping(id)).await,
            Control::GoAway => return Ok(!self.streams.is_empty()),
            Control::Ping { .. } | Control::Ignored => {}
        }
        Ok(true)
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> io::Result<bool> {
        if id.is_multiple_of(2) || id <= self.last {
            self.answer(Outgoing::Reset(id, ResetStatus::ProtocolError)).await;
            return Err(io::Error::other(Malformed("stream ids must be odd and rise")));
        }
        self.last = id;
        // Streams whose consumer is gone do not count.
        self.streams.retain(|_, consumer| !consumer.is_closed());
        if self.streams.len() >= STREAMS {
            self.answer(Outgoing::Reset(id, ResetStatus::RefusedStream)).await;
            return Ok(true);
        }
        let (consumer, incoming) = mpsc::channel(INCOMING);
        if !fin {
            self.streams.insert(id, consumer);
        }
        self.answer(Outgoing::Reply(id)).await;
        let sender = StreamSender {
            id,
            outgoing: self.outgoing.clone(),
        };
        Ok(self
            .accept
            .send(Stream {
                id,
                headers,
                incoming,
                sender,
            })
            .await
            .is_ok())
    }

    /// If the writer has ended, the next round of [`Reader::run`] sees it.
    async fn answer(&mut self, frame: Outgoing) {
        let _ = self.outgoing.send(frame).await;
    }
}
