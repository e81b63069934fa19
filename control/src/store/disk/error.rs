//! What can go wrong with the file.

use std::path::Path;

use super::rows::FORMAT;
use crate::store::witness;

/// Why the file could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error("{0} is in use by another process: is another control plane running on this data directory?")]
    Locked(String),
    /// Its content is not what was written.
    #[error(
        "{path} is damaged ({why}): restore a snapshot (keelson snapshot restore), or move it and {} away to start with \
         an empty cluster",
        witness::beside(Path::new(path)).display()
    )]
    Damaged {
        /// File.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Written by another version of Keelson.
    #[error("{path} has format {found}, this program reads {FORMAT}")]
    Format {
        /// File.
        path: String,
        /// Its format.
        found: u64,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// An object could not be encrypted; nothing was stored.
    #[error("{path}: {source}")]
    Seal {
        /// File.
        path: String,
        /// Why.
        #[source]
        source: crate::encryption::SealError,
    },
    /// Anything else that redb reports.
    #[error("{path}: {why}")]
    Other {
        /// File.
        path: String,
        /// What redb says.
        why: String,
    },
}

impl DiskError {
    /// Whether the disk (or quota, or file size limit) is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }

    /// What redb reports about a path.
    pub fn new(path: &str, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Locked(path),
            redb::Error::Corrupted(why) => Self::Damaged { path, why },
            // Opening creates the tables, so one that is missing or another one was not written by us.
            redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. } => Self::Damaged {
                path,
                why: error.to_string(),
            },
            redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => Self::Damaged {
                path,
                why: source.to_string(),
            },
            redb::Error::Io(source) => Self::Io { path, source },
            other => Self::Other {
                path,
                why: other.to_string(),
            },
        }
    }
}
