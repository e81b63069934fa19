//! SPDY/3.1, as much of it as Kubernetes' streaming uses: streams over one connection, which the client opens.
//!
//! The peers (moby/spdystream) neither send nor obey window updates: flow control is TCP's. So we send without
//! windows, and bound memory by not reading further while a stream's consumer is slow.
//!
//! - [`frame`]: frames as data; pure.
//! - [`headers`]: header blocks and their compression; pure.
//! - [`connection`]: a connection as either end has it.
//! - [`reader`], [`writer`]: its two tasks.
//! - [`example`](mod@example): what either end says, for fuzzing.

#[cfg(test)]
mod client;
mod connection;
mod dictionary;
mod example;
mod frame;
mod headers;
mod reader;
mod writer;

pub use connection::{Connection, Stream, StreamSender};
pub(crate) use example::{answers, example};
pub use headers::Headers;

#[cfg(test)]
mod tests;
