//! Pod addresses: choosing them (pure) and remembering them (on disk).
//!
//! A lease is one small file, written under another name and renamed, so that a crash at any instant leaves either
//! the old or the new state. No fsync: after a power failure there are no pods that could hold an address.

mod lease;
mod pool;
mod store;

pub(crate) use lease::{Lease, format_mac};
pub(crate) use pool::{Pool, gateway};
pub(crate) use store::{Error, Store, replace};
