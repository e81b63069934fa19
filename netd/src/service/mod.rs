//! Services and their endpoints as plain data, and what they mean for the packet filter.
//!
//! `model` is the little that netd keeps of the API's objects, `cluster` the collection of it, `compile` turns one
//! Service into frontends and their targets, `ruleset` collects those of all Services and says what changed. All of it
//! is pure; `nft::services` puts changes into the kernel.

mod cluster;
mod compile;
mod model;
mod ruleset;

pub(crate) use cluster::Cluster;
pub(crate) use compile::{Scope, compile};
pub(crate) use model::{Endpoint, Key, Service, ServicePort, Slice, SlicePort, State};
pub(crate) use ruleset::{Change, Claim, Frontend, Otherwise, Place, Ruleset, Target};
