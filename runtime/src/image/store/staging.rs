//! Locks and temporary directories.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::lease::Leases;
use super::{ImageStore, Index};
use crate::image::{Digest, Error};

/// The store's lock; released on drop, and by the kernel when the process ends.
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    pub(super) fn acquire(path: &Path) -> Result<Self, Error> {
        Self::with(path, FlockArg::LockExclusive)
    }

    /// Together with others who hold it so.
    pub(super) fn shared(path: &Path) -> Result<Self, Error> {
        Self::with(path, FlockArg::LockShared)
    }

    fn with(path: &Path, how: FlockArg) -> Result<Self, Error> {
        let failed = |source: std::io::Error| Error::path("locking", path, source);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let mut file = file;
        loop {
            match Flock::lock(file, how) {
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
    /// Bytes that its files take on disk, and how many things there are.
    pub(super) fn size(&self) -> (u64, usize) {
        (self.0.iter().map(|path| disk_usage(path)).sum(), self.0.len())
    }

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

    /// Moves what neither the index nor a lease needs out of sight: temporary directories without owner, blobs, layers,
    /// downloads that nobody went on with for a day.
    pub(super) fn sweep(&self, index: &Index, _lock: &Lock) -> Result<Rubbish, Error> {
        let abandoned = self.abandoned()?;
        let lease_lock = Lock::acquire(&self.lease_lock())?;
        let leases = self.leases(&lease_lock, &abandoned)?;
        let mut rubbish = Rubbish(abandoned);
        for path in self.unneeded(index, &leases)?.0 {
            // The name in `tmp` must be free: one that a sweep before us could not delete may still be there.
            let aside = (0..).map(|n| {
                let name = path.file_name().unwrap_or_default().display().to_string();
                self.temporary().join(format!("{name}.{n}"))
            });
            let Some(aside) = aside.into_iter().find(|aside| !aside.exists()) else {
                continue;
            };
            fs::rename(&path, &aside).map_err(|source| Error::path("removing", &path, source))?;
            rubbish.0.push(aside);
        }
        Ok(rubbish)
    }

    /// Blobs, layers and old downloads that are not needed.
    pub(super) fn unneeded(&self, index: &Index, leases: &Leases) -> Result<Rubbish, Error> {
        let mut found = Vec::new();
        let (blobs, layers) = (
            &index.blobs() | &leases.blobs(),
            &index.layers() | &leases.layers(),
        );
        for (directory, needed) in [(self.blobs(), blobs), (self.layers(), layers)] {
            let names: BTreeSet<String> = needed.iter().map(Digest::hex).collect();
            found.extend(list(&directory)?.into_iter().filter(|path| {
                let name = path.file_name().unwrap_or_default();
                !names.contains(&*name.to_string_lossy())
            }));
        }
        found.extend(
            list(&self.partial())?
                .into_iter()
                .filter(|path| is_old(path) && is_abandoned(path)),
        );
        Ok(Rubbish(found))
    }

    /// Temporary directories whose owner is gone.
    fn abandoned(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = list(&self.temporary())?;
        paths.retain(|path| is_abandoned(path));
        Ok(paths)
    }
}

/// Whether nobody wrote to a download for a day: whoever wanted the image has given up.
fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|metadata| metadata.modified());
    age.ok()
        .and_then(|modified| modified.elapsed().ok())
        .is_some_and(|age| age > std::time::Duration::from_hours(24))
}

/// Bytes on disk below a path; what cannot be read counts nothing.
fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = metadata.blocks() * 512;
    if !metadata.is_dir() {
        return own;
    }
    own + list(path)
        .unwrap_or_default()
        .iter()
        .map(|path| disk_usage(path))
        .sum::<u64>()
}

pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|source| Error::path("reading", directory, source))
}

/// Whether nobody holds the lock of a temporary directory. Rubbish that another process is just deleting counts as
/// abandoned, too: then two delete it.
pub(super) fn is_abandoned(path: &Path) -> bool {
    match File::open(path) {
        Ok(handle) => Flock::lock(handle, FlockArg::LockExclusiveNonblock).is_ok(),
        Err(_) => true,
    }
}
