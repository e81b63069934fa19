//! Frames (SPDY/3.1 draft, 2.2 and 2.6).

use bytes::{BufMut, Bytes, BytesMut};

/// Every frame starts with this many bytes.
pub(super) const HEAD: usize = 8;
/// Largest control frame that is accepted. Streams have a handful of short headers.
pub(super) const CONTROL_LIMIT: usize = 32 << 10;
/// Largest piece of data that we send in one frame, and hand on at once.
pub(super) const DATA_PIECE: usize = 32 << 10;

const VERSION: u16 = 3;
const FIN: u8 = 1;

/// Why a stream is refused (2.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResetStatus {
    ProtocolError = 1,
    InvalidStream = 2,
    RefusedStream = 3,
    Cancel = 5,
}

/// The start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Data { stream: u32, fin: bool, length: usize },
    Control { kind: u16, flags: u8, length: usize },
}

/// A control frame that the other end sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// A new stream with its compressed headers.
    SynStream {
        stream: u32,
        fin: bool,
        headers: Bytes,
    },
    /// A stream of ours was accepted. Its compressed headers say nothing, but they belong to the compression's state.
    SynReply {
        stream: u32,
        fin: bool,
        headers: Bytes,
    },
    /// Further compressed headers: not used, but they belong to the compression's state.
    Headers {
        headers: Bytes,
    },
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    /// SETTINGS, WINDOW_UPDATE, and what an extension may bring.
    Ignored,
}

/// A frame that breaks the protocol, in words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("SPDY: {0}")]
pub(super) struct Malformed(pub &'static str);

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD]) -> Result<Self, Malformed> {
        let (word, rest) = (
            u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            &bytes[4..],
        );
        let flags = rest[0];
        let length = u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize;
        if word >> 31 == 0 {
            if word == 0 {
                return Err(Malformed("data without a stream"));
            }
            return Ok(Self::Data {
                stream: word,
                fin: flags & FIN != 0,
                length,
            });
        }
        if (word >> 16) as u16 & 0x7fff != VERSION {
            return Err(Malformed("not version 3"));
        }
        if length > CONTROL_LIMIT {
            return Err(Malformed("control frame too large"));
        }
        Ok(Self::Control {
            kind: word as u16,
            flags,
            length,
        })
    }
}

impl Control {
    /// Parses what follows the head of a control frame.
    pub(super) fn parse(kind: u16, flags: u8, body: &Bytes) -> Result<Self, Malformed> {
        let word = |at: usize| -> Result<u32, Malformed> {
            let bytes = body.get(at..at + 4).ok_or(Malformed("control frame too short"))?;
            Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let stream = || word(0).map(|word| word & 0x7fff_ffff);
        match kind {
            // Stream, associated stream, priority and slot, headers.
            1 if body.len() >= 10 => Ok(Self::SynStream {
                stream: stream()?,
                fin: flags & FIN != 0,
                headers: body.slice(10..),
            }),
            1 => Err(Malformed("SYN_STREAM too short")),
            2 if body.len() >= 4 => Ok(Self::SynReply {
                stream: stream()?,
                fin: flags & FIN != 0,
                headers: body.slice(4..),
            }),
            2 => Err(Malformed("SYN_REPLY too short")),
            3 => Ok(Self::Reset { stream: stream()? }),
            6 => Ok(Self::Ping { id: word(0)? }),
            7 => Ok(Self::GoAway),
            8 if body.len() >= 4 => Ok(Self::Headers {
                headers: body.slice(4..),
            }),
            8 => Err(Malformed("HEADERS too short")),
            _ => Ok(Self::Ignored),
        }
    }
}

/// A control frame.
pub(super) fn control(kind: u16, flags: u8, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::with_capacity(HEAD + body.len());
    frame.put_u16(0x8000 | VERSION);
    frame.put_u16(kind);
    frame.put_u8(flags);
    frame.put_uint(body.len() as u64, 3);
    frame.put_slice(body);
    frame
}

/// SYN_STREAM with compressed headers, of no other stream and of the highest priority.
pub(super) fn syn_stream(stream: u32, headers: &[u8]) -> BytesMut {
    control(1, 0, &[&stream.to_be_bytes()[..], &[0; 6], headers].concat())
}

/// SYN_REPLY with compressed headers.
pub(super) fn syn_reply(stream: u32, headers: &[u8]) -> BytesMut {
    control(2, 0, &[&stream.to_be_bytes()[..], headers].concat())
}

/// RST_STREAM.
pub(super) fn reset(stream: u32, status: ResetStatus) -> BytesMut {
    control(
        3,
        0,
        &[stream.to_be_bytes(), (status as u32).to_be_bytes()].concat(),
    )
}

/// PING, which answers one with the same id.
pub(super) fn ping(id: u32) -> BytesMut {
    control(6, 0, &id.to_be_bytes())
}

/// GOAWAY without an error.
pub(super) fn go_away(last_stream: u32) -> BytesMut {
    control(7, 0, &[last_stream.to_be_bytes(), [0; 4]].concat())
}

/// The head of a data frame; the data follow.
pub(super) fn data_head(stream: u32, length: usize, fin: bool) -> BytesMut {
    let mut frame = BytesMut::with_capacity(HEAD);
    frame.put_u32(stream & 0x7fff_ffff);
    frame.put_u8(u8::from(fin));
    frame.put_uint(length as u64, 3);
    frame
}
