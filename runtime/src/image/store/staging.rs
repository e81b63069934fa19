//! Locks and temporary directories.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{ImageStore, Index};
use crate::image::{Digest, Error};

/// The store's lock; released on drop, and by the kernel when the process ends.
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    pub(super) fn acquire(path: &Path) -> Result<Self, Error> {
        let failed = |source: std::io::Error| Error::path("locking", path, source);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let mut file = file;
        loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(file) => return Ok(Self { _file: file }),
                Err((again, Errno::EINTR)) => file = again,
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }
}

/// A directory for work in progress, removed on drop. Locked as long as it is used, so that others can tell it from
/// one whose owner was killed.
pub(super) struct Staging {
    directory: tempfile::TempDir,
    _lock: Flock<File>,
}

impl Staging {
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Unneeded files, moved out of sight; see [`Rubbish::remove`].
pub(super) struct Rubbish(Vec<PathBuf>);

impl Rubbish {
    /// Deletes them, which may take a while: call it without the lock. A failure is not one of the caller: what
    /// stays is found again by the next sweep.
    pub(super) fn remove(self) {
        for path in self.0 {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove rubbish of the image store");
            }
        }
    }
}

impl ImageStore {
    /// A new temporary directory on the store's file system.
    pub(super) fn staging(&self) -> Result<Staging, Error> {
        let temporary = self.temporary();
        let failed = |source: std::io::Error| Error::path("making a directory in", &temporary, source);
        // Under the store's lock, or a sweep could see the directory before it is locked.
        let _lock = self.lock()?;
        let directory = tempfile::TempDir::new_in(&temporary).map_err(failed)?;
        let handle = File::open(directory.path()).map_err(failed)?;
        let lock = Flock::lock(handle, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| failed(errno.into()))?;
        Ok(Staging {
            directory,
            _lock: lock,
        })
    }

    /// Finds what the index does not need: temporary directories without owner, blobs, layers. Blobs and layers are
    /// moved away, so that they are gone at once.
    pub(super) fn sweep(&self, index: &Index, _lock: &Lock) -> Result<Rubbish, Error> {
        let mut rubbish = Vec::new();
        for path in list(&self.temporary())? {
            if is_abandoned(&path) {
                rubbish.push(path);
            }
        }
        for (directory, needed) in [(self.blobs(), index.blobs()), (self.layers(), index.layers())] {
            for path in unneeded(&directory, &needed)? {
                // The name in `tmp` must be free: one that a sweep before us could not delete may still be there.
                let aside = (0..).map(|n| {
                    let name = path.file_name().unwrap_or_default().display().to_string();
                    self.temporary().join(format!("{name}.{n}"))
                });
                let Some(aside) = aside.into_iter().find(|aside| !aside.exists()) else {
                    continue;
                };
                fs::rename(&path, &aside).map_err(|source| Error::path("removing", &path, source))?;
                rubbish.push(aside);
            }
        }
        Ok(Rubbish(rubbish))
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|source| Error::path("reading", directory, source))
}

/// Whether nobody holds the lock of a temporary directory. Rubbish that another process is just deleting counts as
/// abandoned, too: then two delete it.
fn is_abandoned(path: &Path) -> bool {
    match File::open(path) {
        Ok(handle) => Flock::lock(handle, FlockArg::LockExclusiveNonblock).is_ok(),
        Err(_) => true,
    }
}

fn unneeded(directory: &Path, needed: &BTreeSet<Digest>) -> Result<Vec<PathBuf>, Error> {
    let names: BTreeSet<String> = needed.iter().map(Digest::hex).collect();
    let mut paths = list(directory)?;
    paths.retain(|path| {
        !path
            .file_name()
            .is_some_and(|name| names.contains(&*name.to_string_lossy()))
    });
    Ok(paths)
}
