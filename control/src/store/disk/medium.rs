//! Where the rows are kept: a file, and in tests what fails like one.

use std::path::{Path, PathBuf};

use redb::{Builder, Database};

use super::reserve;
use crate::store::witness;

/// Where the rows are kept; tests put a failing medium here.
pub trait Medium: Send + std::fmt::Debug {
    /// Opens it, or creates it if there is none.
    fn open(&self, builder: &Builder) -> Result<Database, redb::DatabaseError>;
    /// For messages.
    fn name(&self) -> String;
    /// Makes the next reads come from the medium. A failed synchronization marks pages clean that were never written
    /// (fsync(2)), so what the page cache says afterwards may be on no disk.
    fn forget_cache(&self);
    /// The file that remembers the newest revision.
    fn witness(&self) -> Option<PathBuf> {
        None
    }
    /// The file that keeps room for deletions.
    fn reserve(&self) -> Option<PathBuf> {
        None
    }
}

/// A file.
#[derive(Debug)]
pub struct File(pub PathBuf);

impl Medium for File {
    fn open(&self, builder: &Builder) -> Result<Database, redb::DatabaseError> {
        builder.create(&self.0)
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn forget_cache(&self) {
        let forgotten = std::fs::File::open(&self.0).map(|file| {
            nix::fcntl::posix_fadvise(&file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        });
        if let Err(error) | Ok(Err(error)) = forgotten.map(|done| done.map_err(std::io::Error::from)) {
            tracing::error!(%error, "the cached pages of {} could not be dropped", self.0.display());
        }
    }

    fn witness(&self) -> Option<PathBuf> {
        Some(witness::beside(&self.0))
    }

    fn reserve(&self) -> Option<PathBuf> {
        Some(reserve::beside(&self.0))
    }
}

/// The path of the store file in a directory.
pub fn file_in(dir: &Path) -> PathBuf {
    dir.join("store.redb")
}
