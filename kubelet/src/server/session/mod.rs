//! Exec and attach sessions: a process's streams on one side, a client's channels on the other.
//!
//! - [`process`]: the process, from the runtime.
//! - [`client`]: the client, whatever it speaks; [`spdy`] makes one of streams.
//! - [`run`]: what connects them.

mod client;
mod pipe;
mod process;
mod run;
mod spdy;
mod status;

pub(super) use client::Client;
pub(super) use process::Process;
pub(super) use run::{Kind, collect, run};
pub(super) use spdy::{PROTOCOL as SPDY_PROTOCOL, connect as connect_spdy};

#[cfg(test)]
mod tests;
