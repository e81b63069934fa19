//! SPDY/3.1, as much of it as Kubernetes' streaming uses: a server's side of streams over one connection.
//!
//! The peers (moby/spdystream) neither send nor obey window updates: flow control is TCP's. So we send without
//! windows, and bound memory by not reading further while a stream's consumer is slow.
//!
//! - [`frame`]: frames as data; pure.
//! - [`headers`]: header blocks and their compression; pure.
//! - [`connection`]: the connection's tasks, and [`Stream`]s.
//! - [`example`](mod@example): what a client says, for fuzzing.

#[cfg(test)]
pub(super) mod client;
mod connection;
mod dictionary;
mod example;
mod frame;
mod headers;

pub(super) use connection::{Connection, Stream, StreamSender};
pub(super) use example::example;

#[cfg(test)]
mod tests;
