//! Exec and attach sessions: a process's streams on one side, a client's channels on the other.
//!
//! - [`process`]: the process, from the runtime.
//! - [`client`]: the client, whatever it speaks; [`websocket`] and [`spdy`] make one.
//! - [`run`]: what connects them.

mod client;
mod pipe;
mod process;
mod run;
mod spdy;
mod status;
mod websocket;

pub(super) use client::Input;
pub(super) use process::Process;
pub(super) use run::{Kind, collect, run};
pub(super) use spdy::{PROTOCOLS as SPDY_PROTOCOLS, connect as connect_spdy};
pub(super) use websocket::{
    Protocol, config as websocket_config, connect as connect_websocket, decode, encode,
};

#[cfg(test)]
mod tests;
