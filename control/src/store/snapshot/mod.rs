//! Snapshots: everything that a store holds at one revision, in one file.
//!
//! A snapshot is rows, not pages: it is as large as its content, does not depend on the version of redb, and keeps each
//! row as it is stored, encrypted ones encrypted. A checksum over all of it is its last field, so that a file that was
//! cut or changed is known before anything is done with it.
//!
//! - [`format`]: the file, written and read as a stream.
//! - [`save`]: from a view of the store, or from the directory of a stopped one.
//! - [`restore`]: into a directory without a store.

mod format;
mod restore;
mod save;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::disk::HIGHEST_START;
pub use restore::{BUMP, Restore, restore};
pub use save::{Snapshot, save};

/// What is in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// SHA-256 of everything before the checksum.
    pub sha256: [u8; 32],
    /// The revision of its state.
    pub revision: u64,
    /// When it was taken, in Unix seconds.
    pub taken: u64,
    /// How many objects it has.
    pub objects: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl Summary {
    /// The short hash that people compare: the first four bytes of the checksum.
    pub fn hash(&self) -> u32 {
        let [a, b, c, d, ..] = self.sha256;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Why a snapshot could not be saved, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no snapshot.
    #[error("this is not a snapshot made by keelson")]
    Foreign,
    /// It is one of etcd's.
    #[error(
        "this is a snapshot of etcd, not one made by keelson: see etcdctl snapshot status, etcdctl snapshot restore"
    )]
    Etcd,
    /// A later version of Keelson made it.
    #[error("the snapshot has format {0}, this program reads {version}", version = format::VERSION)]
    Version(u32),
    /// Its end is missing.
    #[error("the snapshot is not complete: it ends after {0} bytes; save or copy it again")]
    Cut(u64),
    /// Its content is not what was saved.
    #[error("the snapshot is damaged: {0}; take another one")]
    Damaged(String),
    /// The new store would begin so high that it could come to the last revision there is.
    #[error("revision {revision} raised by {bump} is too high: a store begins at {highest} at most", highest = HIGHEST_START)]
    TooHigh {
        /// The highest one that is known to have been given out.
        revision: u64,
        /// By how much it was to be raised.
        bump: u64,
    },
    /// There is a store already.
    #[error("{0} holds a store already; restore to another directory, or replace it with --force")]
    NotEmpty(PathBuf),
    /// There is nothing to save.
    #[error("there is no store in {0}")]
    NoStore(PathBuf),
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl SnapshotError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Reads a whole snapshot and checks it.
pub fn verify(input: impl std::io::Read) -> Result<Summary, SnapshotError> {
    let mut reader = format::Reader::new(input)?;
    while reader.next()?.is_some() {}
    reader.summary()
}
