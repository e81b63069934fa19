//! Connections that the kernel remembers, and forgetting those that lead to an endpoint which is gone.
//!
//! Translation is decided by a connection's first packet. For UDP a "connection" lasts as long as the client keeps
//! sending, so a client of a removed endpoint would never find the next one.

mod entry;
mod stale;
mod table;

pub(crate) use stale::Judge;
pub(crate) use table::{forget_host_port, forget_stale};
