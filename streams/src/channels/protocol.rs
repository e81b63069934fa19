//! Subprotocols, and their messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Message;

/// A subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Name in the handshake.
    pub name: &'static str,
    /// Channel 255 closes one of the others.
    pub(super) half_close: bool,
    base64: bool,
    /// The session's end is told in words, not as a Status.
    pub words: bool,
}

impl Protocol {
    /// What kubectl speaks since 1.30 (KEP-4006).
    pub const V5: Self = Self {
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
    /// Of a kubelet's exec and attach, as a client may ask for them; the first is meant by one that asks for none. Version 5
    /// is the API server's, which translates it.
    pub const KUBELET: [Self; 4] = [Self::OLD, Self::OLD_BASE64, Self::V4, Self::V4_BASE64];
    /// Of port-forward without a tunnel; likewise.
    pub const PORT_FORWARD: [Self; 2] = [Self::V4, Self::V4_BASE64];
}

/// A message on a channel.
pub fn encode(number: u8, bytes: &[u8], protocol: Protocol) -> Message {
    if protocol.base64 {
        return Message::text(format!("{}{}", char::from(b'0' + number), BASE64.encode(bytes)));
    }
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(number);
    message.put_slice(bytes);
    Message::Binary(message.freeze())
}

/// Channel and data of a message; `None` for what belongs to no channel. Whether the message is called text or binary does
/// not matter, as with upstream: Python's client sends text as text.
pub fn decode(message: Message, protocol: Protocol) -> Option<(u8, Bytes)> {
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
