//! What exec, attach and port-forward travel in. The kubelet serves them; the API server passes them on, and speaks as a
//! client with the kubelet where it has to translate.
//!
//! - [`upgrade`]: the handshakes that turn a request into a stream.
//! - [`spdy`]: SPDY/3.1, both ends.
//! - [`channels`]: numbered channels over WebSocket, a server's end.
//! - [`tunnel`]: any bytes in WebSocket messages, a server's end.
//! - [`decoders`]: the doors that fuzzing comes through.

pub mod channels;
pub mod decoders;
pub mod spdy;
pub mod tunnel;
pub mod upgrade;

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct Closed;
