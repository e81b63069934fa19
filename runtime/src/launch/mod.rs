//! Carrying out a [`Plan`]: the thin layer that turns plain data into a confined process.
//!
//! A launch has two sides. The parent ([`prepare`], [`spawn`]) turns the plan into C strings and opened sources, where
//! it may allocate and fail at leisure. The child ([`container`], [`session`]) then runs a fixed list of system calls
//! without allocating, and reports the step and errno of a failure through its channel. Nothing here decides what a
//! container may do: that is the plan's business.

mod channel;
mod confined;
mod container;
mod copy_up;
mod devices;
mod error;
mod failure;
mod hide;
mod home;
mod hooks;
mod identity;
mod ids;
mod labels;
mod mount_by_text;
mod mounts;
mod null;
mod plan;
mod prepare;
mod prepared_mount;
mod session;
mod sibling;
mod sources;
mod spawn;
mod terminal;

pub use channel::{Channel, Message};
pub use confined::{ensure_below, open_in_root};
pub use error::SpawnError;
pub use failure::{Failure, HookEnd, HookFailure, Record, RecordKind, Step};
pub use hooks::{HookPoint, run_hooks};
pub use ids::become_container_root;
pub use null::{null_stream, replace_null_streams};
pub use plan::{
    Capabilities, Device, Hook, Hooks, IdMap, IdRange, Mount, MountSource, Namespaces, Plan, Process, Rlimit,
    Scheduler, SeccompFilter, SeccompListener, TargetKind,
};
pub use prepare::CStringArray;
pub use spawn::{Gate, Launched, StandardStreams, spawn_container, spawn_session};
