//! Room on the disk that is kept for deletions.
//!
//! redb copies pages before it frees any, so on a full disk even a deletion finds no room. A file beside the store holds
//! some that nobody else can take. When the disk refuses a deletion, the file is emptied, the deletion tried again, and what
//! is left of the room taken back. What was deleted leaves pages inside the store for what comes next, so this goes on.
//! Other writes have pages left by deletions, but never the reserve; while less than half of it is there they are refused,
//! as etcd refuses them under its alarm NOSPACE, because otherwise they would use up what deletions make, and those, in the
//! end, all of the reserve.
//!
//! It cannot be had on file systems that do not allocate ahead (fallocate(2)), or that are full when it is made. That it was
//! drawn is written into the file's mode, which takes no room.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;

/// How much is kept: more than it takes to copy the page of the largest object twice.
const MOST: u64 = 8 << 20;
/// And at most this part of the file system.
const SHARE: u64 = 8;
/// Bit of the mode of a file that was drawn and has not been made good (otherwise 0600).
const DRAWN: u32 = 0o100;
/// Less than this is not worth another try.
const LEAST: u64 = 32 << 10;

/// The reserve of a store file: `store.reserve` for `store.redb`.
pub fn beside(store: &Path) -> PathBuf {
    store.with_extension("reserve")
}

/// The open file.
#[derive(Debug)]
pub struct Reserve {
    file: File,
    wanted: u64,
    held: u64,
    /// A deletion has taken from it, and that has not been made good.
    is_drawn: bool,
}

impl Reserve {
    /// Opens the file, or creates it, and fills it as far as there is room.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let system = fstatvfs(&file)?;
        let wanted = MOST.min(system.blocks() * system.fragment_size() / SHARE);
        let mut reserve = Self {
            file,
            wanted,
            held: 0,
            is_drawn: false,
        };
        reserve.held = reserve.blocks();
        reserve.is_drawn = reserve.file.metadata()?.mode() & DRAWN != 0;
        reserve.fill()?;
        Ok(reserve)
    }

    fn blocks(&self) -> u64 {
        let blocks = self.file.metadata().map_or(0, |metadata| metadata.blocks());
        (blocks * 512).min(self.wanted)
    }

    /// Takes what room there is, up to what is wanted.
    pub fn fill(&mut self) -> std::io::Result<()> {
        let mut size = self.wanted;
        while size >= self.held + LEAST {
            match fallocate(&self.file, FallocateFlags::empty(), 0, size as i64) {
                // Some only look whether there is room, and keep none (ZFS).
                Ok(()) if self.blocks() + LEAST < size => return Err(std::io::ErrorKind::Unsupported.into()),
                Ok(()) => break,
                Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => {
                    // The system may have given some.
                    self.held = self.blocks();
                    size = self.held + size.saturating_sub(self.held) * 3 / 4;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.held = self.blocks();
        if self.is_drawn && self.held >= self.wanted {
            self.mark(false)?;
        }
        Ok(())
    }

    fn mark(&mut self, drawn: bool) -> std::io::Result<()> {
        self.is_drawn = drawn;
        let mode = 0o600 | if drawn { DRAWN } else { 0 };
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Gives the room to whoever comes first; false if there was none.
    pub fn release(&mut self) -> bool {
        if self.held == 0 {
            return false;
        }
        self.held = 0;
        // Synchronized, because some file systems give blocks out again only then.
        let released = self
            .mark(true)
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.sync_all());
        if let Err(error) = &released {
            tracing::error!(%error, "the store's reserve could not be released");
        }
        released.is_ok()
    }

    /// Whether what is left is for deletions alone.
    pub fn is_short(&mut self) -> bool {
        if !self.is_drawn || self.held >= self.wanted / 2 {
            return false;
        }
        // There may be room again.
        drop(self.fill());
        self.held < self.wanted / 2
    }
}
