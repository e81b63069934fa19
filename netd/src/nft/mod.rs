//! nftables over raw nfnetlink: two tables per address family, each replaced as a whole or changed by element.
//!
//! - `keelson-ID-pods` ([`pods`]): what pods need whether or not the API server answers: reverse-path checks,
//!   masquerading, published host ports. Made from the leases and the configuration, so it can always be rebuilt.
//! - `keelson-ID` ([`services`]): the Service proxy, flat maps see there for the layout.
//!
//! Both stay loaded when netd dies (no owner flag: a table that has an owner goes with it unless the kernel knows
//! `persist`, since 6.9). When it returns it takes them over as they are (`adopt`).
//! Only expressions that `nft list ruleset` prints and `nft -f` reads back are used; a test does both.

mod adopt;
mod batch;
mod expression;
mod family;
mod listing;
mod monitor;
pub(crate) mod pods;
pub(crate) mod services;
mod set;

pub(crate) use batch::{Batch, Error, delete_table, open};
pub(crate) use family::Family;
pub(crate) use listing::tables;
pub(crate) use monitor::Monitor;

/// Name of the table of pods of cluster `id`.
pub(crate) fn pods_table(id: &str) -> String {
    format!("keelson-{id}-pods")
}

/// Name of the table of Services of cluster `id`.
pub(crate) fn services_table(id: &str) -> String {
    format!("keelson-{id}")
}

/// Marks of one cluster: the id in the upper half keeps two clusters on a host, and other programs, apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks(u32);

impl Marks {
    /// The marks of cluster `id`: its four hexadecimal digits, or a hash of any other text.
    pub(crate) fn new(id: &str) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let digits = id
            .strip_prefix("kl")
            .and_then(|hex| u16::from_str_radix(hex, 16).ok());
        let half = digits.unwrap_or_else(|| {
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish() as u16
        });
        Self(u32::from(half) << 16)
    }

    /// Set on a connection that must leave with the node's address.
    pub(crate) fn masquerade(self) -> u32 {
        self.0 | 0xffff
    }

    /// Stands for the `n`-th class of Services while a packet crosses the Service chains.
    pub(crate) fn class(self, n: u16) -> u32 {
        self.0 | u32::from(n)
    }
}
