//! Carrying out a [`Plan`]: the thin layer that turns plain data into a confined process.
//!
//! A launch has two sides. The parent ([`prepare`], [`spawn`]) turns the plan into C strings and opened sources, where
//! it may allocate and fail at leisure. The child ([`container`], [`session`]) then runs a fixed list of system calls
//! without allocating, and reports the step and errno of a failure through its channel. Nothing here decides what a
//! container may do: that is the plan's business.

mod confined;
mod container;
mod failure;
mod identity;
mod null;
mod plan;
mod prepare;
mod session;
mod sources;
mod spawn;
mod terminal;

pub use confined::{ensure_below, open_in_root};
pub use failure::{Failure, Record, RecordKind, Step};
pub use null::{null_stream, replace_null_streams};
pub use plan::{Capabilities, Device, Mount, MountSource, Namespaces, Plan, Process, Rlimit, TargetKind};
pub use prepare::CStringArray;
pub use spawn::{Channel, Gate, Launched, SpawnError, StandardStreams, spawn_container, spawn_session};
