//! A netlink socket used synchronously: send a request (or a batch), read the answers that the kernel has queued.
//!
//! A socket belongs to the network namespace of the thread that opened it, for good.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use tokio::sync::Notify;

use super::attribute::find;
use super::frame::{Message, messages};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Enough for any single netlink datagram: the kernel caps dump datagrams at 32 KiB.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// Why a netlink exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The socket itself failed.
    #[error("netlink socket: {what}: {source}")]
    Socket {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused one message.
    #[error("kernel refused: {errno}{}", hint(.message))]
    Refused {
        /// Its error number.
        errno: Errno,
        /// Its extended message, may be empty.
        message: String,
        /// Sequence number of the refused message.
        sequence: u32,
    },
}

fn hint(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

impl Error {
    /// The kernel did not answer what it was asked.
    pub(crate) fn silence() -> Self {
        at("wait for an answer")(io::ErrorKind::UnexpectedEof.into())
    }

    /// The kernel's error number, where it gave one.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Socket { .. } => None,
        }
    }
}

/// What the kernel said to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Acknowledged.
    Ack(u32),
    /// Refused.
    Error(u32, Errno, String),
    /// Data: message type and payload.
    Data(u16, Vec<u8>),
    /// End of a dump.
    Done,
}

/// A connected netlink socket.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: Arc<netlink_sys::Socket>,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of one netlink family (`libc::NETLINK_*`) in the calling thread's network namespace.
    pub(crate) fn open(protocol: i32) -> Result<Self, Error> {
        let mut socket = netlink_sys::Socket::new(protocol as isize).map_err(at("open"))?;
        socket.bind_auto().map_err(at("bind"))?;
        // Extended messages say which attribute is wrong; capped ones do not echo megabytes of a failed batch.
        socket.set_ext_ack(true).map_err(at("extended ack"))?;
        socket.set_cap_ack(true).map_err(at("capped ack"))?;
        Ok(Self {
            inner: Arc::new(socket),
            buffer: vec![0; RECEIVE_BUFFER],
        })
    }

    /// The descriptor, for tests of readiness and for joining groups.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }

    /// Joins a multicast group: its notifications are received from now on.
    pub(crate) fn join(&self, group: u32) -> Result<Membership, Error> {
        self.inner.add_membership(group).map_err(at("join group"))?;
        Ok(Membership {
            socket: Arc::clone(&self.inner),
            group,
            returned: Arc::default(),
        })
    }

    /// Sends `bytes` (one or more messages) in one datagram.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        // The default of 208 KiB holds about 4,000 map elements. Forcing needs NET_ADMIN, which netd has.
        if bytes.len() > 100_000 {
            setsockopt(&self.inner, sockopt::SndBufForce, &(bytes.len() * 2 + 65_536))
                .map_err(errno_at("send buffer"))?;
        }
        let sent = nix::sys::socket::send(self.inner.as_raw_fd(), bytes, MsgFlags::empty())
            .map_err(errno_at("send"))?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(at("send")(io::ErrorKind::WriteZero.into()))
        }
    }

    /// Reads the next datagram's answers; an empty list when none is queued.
    pub(crate) fn receive(&mut self) -> Result<Vec<Answer>, Error> {
        loop {
            match recv(self.inner.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => return Ok(messages(&self.buffer[..length]).map(answer).collect()),
                Err(Errno::EAGAIN) => return Ok(Vec::new()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno_at("receive")(errno)),
            }
        }
    }

    /// Sends messages that each ask for an ACK and returns every one's result, in order of answer.
    pub(crate) fn acks(&mut self, bytes: &[u8], count: usize) -> Result<Vec<Answer>, Error> {
        self.send(bytes)?;
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let queued = self.receive()?;
            if queued.is_empty() {
                return Err(Error::silence());
            }
            answers.extend(
                queued
                    .into_iter()
                    .filter(|a| matches!(a, Answer::Ack(_) | Answer::Error(..))),
            );
        }
        Ok(answers)
    }

    /// Sends one request and returns the data that answers it (a single object, or a dump to its end).
    pub(crate) fn query(&mut self, bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Error> {
        self.send(bytes)?;
        let mut data = Vec::new();
        loop {
            let queued = self.receive()?;
            if queued.is_empty() {
                return Ok(data);
            }
            for answer in queued {
                match answer {
                    Answer::Data(kind, payload) => data.push((kind, payload)),
                    Answer::Error(sequence, errno, message) => {
                        return Err(Error::Refused {
                            errno,
                            message,
                            sequence,
                        });
                    }
                    Answer::Ack(_) | Answer::Done => return Ok(data),
                }
            }
        }
    }
}

/// A socket's membership in a multicast group.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    socket: Arc<netlink_sys::Socket>,
    group: u32,
    returned: Arc<Notify>,
}

impl Membership {
    /// Runs `work` outside the group. What others change meanwhile is not heard: see [`Membership::returned`].
    pub(crate) fn without<T>(&self, work: impl FnOnce() -> T) -> T {
        let left = self.socket.drop_membership(self.group);
        let outcome = work();
        if left.is_ok()
            && let Err(error) = self.socket.add_membership(self.group)
        {
            tracing::warn!(%error, group = self.group, "could not join a netlink group again");
        }
        self.returned.notify_one();
        outcome
    }

    /// Resolves when the socket is back in the group after [`Membership::without`], since this was last asked.
    pub(crate) async fn returned(&self) {
        self.returned.notified().await;
    }
}

fn at(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Socket { what, source }
}

fn errno_at(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Socket {
        what,
        source: errno.into(),
    }
}

fn answer(message: Message<'_>) -> Answer {
    match message.kind {
        NLMSG_DONE => Answer::Done,
        NLMSG_ERROR => {
            let code = message
                .payload
                .first_chunk()
                .map_or(0, |b| i32::from_ne_bytes(*b));
            if code == 0 {
                return Answer::Ack(message.sequence);
            }
            // After the code comes the refused message's header (16 bytes; its body is capped away).
            let text = (message.flags & NLM_F_ACK_TLVS != 0)
                .then(|| message.payload.get(20..))
                .flatten()
                .and_then(|tlvs| find(tlvs, NLMSGERR_ATTR_MSG))
                .map(|m| String::from_utf8_lossy(m).trim_end_matches('\0').to_owned())
                .unwrap_or_default();
            Answer::Error(message.sequence, Errno::from_raw(-code), text)
        }
        kind => Answer::Data(kind, message.payload.to_vec()),
    }
}
