//! The task that reads.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadHalf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use super::connection::{INCOMING, Stream, StreamSender};
use super::frame::{Control, DATA_PIECE, HEAD, Head, Malformed, ResetStatus};
use super::headers::{Decoder, Headers};
use super::writer::Outgoing;

/// Streams open at once on one connection.
const STREAMS: usize = 1024;
/// How long the other end may take to hang up after our goodbye: it may have much to read, and a socket that is closed before
/// drops that when it is pinged.
const LINGER: Duration = Duration::from_mins(15);
/// How long a consumer may take before the other end is asked whether it is still there, and again.
const SIGN_OF_LIFE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 10_000 });

type Consumers = HashMap<u32, mpsc::Sender<Bytes>>;

/// The consumers of the streams on which the other end may still send; none once the connection has ended.
#[derive(Debug, Clone)]
pub(super) struct Open(Arc<Mutex<Option<Consumers>>>);

impl Open {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Consumers::new()))))
    }

    fn with<T: Default>(&self, look: impl FnOnce(&mut Consumers) -> T) -> T {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_mut().map(look).unwrap_or_default()
    }

    /// Adds a stream, unless there are too many or the connection has ended.
    pub(super) fn add(&self, stream: u32, consumer: mpsc::Sender<Bytes>) -> bool {
        self.with(|open| {
            // Streams whose consumer is gone do not count.
            open.retain(|_, consumer| !consumer.is_closed());
            let room = open.len() < STREAMS;
            if room {
                open.insert(stream, consumer);
            }
            room
        })
    }

    fn get(&self, stream: u32) -> Option<mpsc::Sender<Bytes>> {
        self.with(|open| open.get(&stream).cloned())
    }

    fn remove(&self, stream: u32) {
        self.with(|open| drop(open.remove(&stream)));
    }

    fn is_empty(&self) -> bool {
        !self.with(|open| !open.is_empty())
    }

    /// Ends all streams, and those that somebody would add.
    fn end(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

pub(super) struct Reader<R> {
    io: ReadHalf<R>,
    decoder: Decoder,
    open: Open,
    last: u32,
    /// Where streams go that the other end opens; a client has no such place.
    accept: Option<mpsc::Sender<Stream>>,
    outgoing: mpsc::Sender<Outgoing>,
    /// An answer to a ping that waits for room.
    pong: Option<JoinHandle<()>>,
}

impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        self.open.end();
    }
}

impl<R: AsyncRead> Reader<R> {
    pub(super) fn new(
        io: ReadHalf<R>,
        open: Open,
        accept: Option<mpsc::Sender<Stream>>,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Self {
        Self {
            io,
            decoder: Decoder::new(),
            open,
            last: 0,
            accept,
            outgoing,
            pong: None,
        }
    }

    /// Reads until the other end hangs up (`Ok`) or breaks the protocol.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let outgoing = self.outgoing.clone();
        loop {
            let mut head = [0; HEAD];
            tokio::select! {
                read = self.io.read_exact(&mut head) => match read {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    read => read?,
                },
                // The writer has ended. What the other end still sends must be read, or closing the socket would make
                // the kernel reset the connection and drop what that end has not read yet.
                () = outgoing.closed() => {
                    let mut nowhere = tokio::io::sink();
                    let rest = tokio::io::copy(&mut self.io, &mut nowhere);
                    // Waits for the other end to hang up, which it does at once when it is one of ours.
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
        let mut consumer = self.open.get(stream);
        if consumer.is_none() {
            self.hint(Outgoing::Reset(stream, ResetStatus::InvalidStream));
        }
        while length > 0 {
            let mut piece = BytesMut::zeroed(length.min(DATA_PIECE));
            self.io.read_exact(&mut piece).await?;
            length -= piece.len();
            if let Some(to) = &consumer
                && !self.hand_on(to, piece.freeze()).await?
            {
                self.open.remove(stream);
                consumer = None;
            }
        }
        if fin {
            self.open.remove(stream);
        }
        Ok(())
    }

    /// Waits for a slow consumer; false if it is gone, wants no more, and the rest is to be skipped.
    ///
    /// A client's hanging up would not be read meanwhile, so it is asked for a sign of life: that cannot be written when
    /// nobody is there. A server may have hung up with all said, which must not be thrown away: whoever listens to it leaves
    /// by himself.
    async fn hand_on(&mut self, to: &mpsc::Sender<Bytes>, piece: Bytes) -> io::Result<bool> {
        if self.accept.is_none() {
            return Ok(to.send(piece).await.is_ok());
        }
        loop {
            tokio::select! {
                // A consumer that is gone first: what the client still sends is to be read to its end.
                biased;
                permit = to.reserve() => {
                    let Ok(permit) = permit else { return Ok(false) };
                    permit.send(piece);
                    return Ok(true);
                }
                () = self.outgoing.closed() => return Err(io::ErrorKind::BrokenPipe.into()),
                () = tokio::time::sleep(SIGN_OF_LIFE) => self.hint(Outgoing::Ping(self.own_ping())),
            }
        }
    }

    /// Clients' ids are odd, servers' even.
    fn own_ping(&self) -> u32 {
        if self.accept.is_some() { 2 } else { 1 }
    }

    /// False when the connection is to end.
    async fn control(&mut self, control: Control) -> io::Result<bool> {
        match control {
            Control::SynStream { stream, fin, headers } => {
                let headers = self.decoder.decode(&headers).map_err(io::Error::other)?;
                return self.opened(stream, fin, headers).await;
            }
            Control::SynReply { .. } if self.accept.is_some() => {
                return Err(io::Error::other(Malformed(
                    "a reply to a stream that nobody opened",
                )));
            }
            Control::SynReply { stream, fin, headers } => {
                self.decoder.decode(&headers).map_err(io::Error::other)?;
                if fin {
                    self.open.remove(stream);
                }
            }
            Control::Headers { headers } => {
                self.decoder.decode(&headers).map_err(io::Error::other)?;
            }
            Control::Reset { stream } => self.open.remove(stream),
            // What has our own kind of id answers us.
            Control::Ping { id } if id % 2 != self.own_ping() % 2 => self.pong(id),
            Control::GoAway => return Ok(!self.open.is_empty()),
            Control::Ping { .. } | Control::Ignored => {}
        }
        Ok(true)
    }

    /// The other end has opened a stream.
    async fn opened(&mut self, id: u32, fin: bool, headers: Headers) -> io::Result<bool> {
        let Some(accept) = self.accept.clone() else {
            self.answer(Outgoing::Reset(id, ResetStatus::RefusedStream)).await;
            return Ok(true);
        };
        if id.is_multiple_of(2) || id <= self.last {
            self.answer(Outgoing::Reset(id, ResetStatus::ProtocolError)).await;
            return Err(io::Error::other(Malformed("stream ids must be odd and rise")));
        }
        self.last = id;
        let (consumer, incoming) = mpsc::channel(INCOMING);
        if !fin && !self.open.add(id, consumer) {
            self.answer(Outgoing::Reset(id, ResetStatus::RefusedStream)).await;
            return Ok(true);
        }
        self.answer(Outgoing::Reply(id)).await;
        let sender = StreamSender::new(id, self.outgoing.clone());
        let stream = Stream {
            id,
            headers,
            incoming,
            sender,
        };
        Ok(accept.send(stream).await.is_ok())
    }

    /// Answers a ping as soon as there is room: Go's clients wait for the answer without an end. Further pings until then get
    /// none, which nobody sends who waits.
    fn pong(&mut self, id: u32) {
        if self.pong.as_ref().is_some_and(|pong| !pong.is_finished()) {
            return;
        }
        if let Err(TrySendError::Full(pong)) = self.outgoing.try_send(Outgoing::Ping(id)) {
            let outgoing = self.outgoing.clone();
            self.pong = Some(tokio::spawn(async move {
                let _ = outgoing.send(pong).await;
            }));
        }
    }

    /// Sends what the other end can do without, if there is room: reading must not wait for an end that does not read.
    fn hint(&self, frame: Outgoing) {
        let _ = self.outgoing.try_send(frame);
    }

    /// If the writer has ended, the next round of [`Reader::run`] sees it.
    async fn answer(&mut self, frame: Outgoing) {
        let _ = self.outgoing.send(frame).await;
    }
}
