//! How much an image may take, and the account that is charged for it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;

/// Largest JSON document that is read into memory (as containerd and registries: 4 MiB).
pub(super) const DOCUMENT: u64 = 4 << 20;
/// Most layers of one image (Docker's own limit).
pub(super) const LAYERS: usize = 127;
/// How deep indexes may nest.
pub(super) const INDEX_DEPTH: usize = 3;
/// Largest block of tar extension records (long names, pax records) before one member.
pub(super) const EXTENSIONS: u64 = 1 << 20;
/// What a file, directory or link costs besides its contents: one block of most file systems.
pub(super) const INODE: u64 = 4096;
/// Most members of a layer, and most directories of a layer (their times are kept until the end).
pub(super) const MEMBERS: usize = 500_000;
/// Most members of an image archive: each becomes a file in the staging directory, and the largest image has some
/// hundreds.
pub(super) const ARCHIVE_MEMBERS: usize = 10_000;
/// Base 2 logarithm of the largest zstd window that is accepted: 32 MiB of memory.
pub(super) const ZSTD_WINDOW_LOG: u32 = 25;

/// How much one import or pull may write.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes written to the store for one image, blobs and unpacked layers together, small files rounded up.
    pub image_bytes: u64,
    /// Bytes of the file system that are left free in any case.
    pub keep_free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            image_bytes: 32 << 30,
            keep_free: 256 << 20,
        }
    }
}

/// What is left to one import. Clones share the account.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: Arc<AtomicU64>,
    total: u64,
}

impl Budget {
    pub(super) fn new(total: u64) -> Self {
        Self {
            left: Arc::new(AtomicU64::new(total)),
            total,
        }
    }

    /// Charges `bytes`, or fails for good.
    pub(super) fn charge(&self, bytes: u64) -> Result<(), Error> {
        self.left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map(drop)
            .map_err(|_| {
                Error::Invalid(format!(
                    "it takes more than the {} MiB that the limit or the free disk space allows",
                    self.total >> 20
                ))
            })
    }

    /// What has not been charged yet.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// A reader that charges what it reads.
    pub(super) fn reader<R: Read>(&self, inner: R) -> Charged<R> {
        Charged {
            inner,
            budget: self.clone(),
        }
    }
}

/// See [`Budget::reader`].
pub(super) struct Charged<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Charged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.charge(count as u64).map_err(Error::into_io)?;
        Ok(count)
    }
}

/// Reads all of a small stream, or fails once it passes `limit` bytes.
pub(super) fn read_limited(reader: impl Read, limit: u64, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::stream(what, source))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Invalid(format!("{what} is larger than {limit} bytes")));
    }
    Ok(bytes)
}
