//! The newest durable revision, in a file of its own beside the store.
//!
//! redb keeps two roots, and after an unclean end goes on from the older one if the newer one does not verify. It cannot
//! know whether that one was never finished, or was acknowledged and has been damaged since; nor can it know that
//! somebody put an older copy of the file in its place. The witness does: it is written after each commit, so it never
//! names a revision that was not durable. It is not synchronized, because it need not be complete: the system keeps it
//! when only the process dies, and after a power loss an older one accuses nobody.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the file holds: this, and the revision in 20 digits and a line end.
const HEAD: &str = "keelson store revision ";
/// Its length.
const LENGTH: usize = HEAD.len() + 21;

/// The witness of a store file: `store.revision` for `store.redb`.
pub fn beside(store: &Path) -> PathBuf {
    store.with_extension("revision")
}

/// The open file.
#[derive(Debug)]
pub struct Witness {
    file: File,
    path: PathBuf,
    newest: Option<u64>,
    failing: bool,
}

impl Witness {
    /// Opens the file, or creates it.
    pub fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        let mut bytes = [0; LENGTH];
        let newest = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse(&bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        if newest.is_none() && file.metadata()?.len() > 0 {
            tracing::warn!("{} cannot be read; it is written anew", path.display());
        }
        Ok(Self {
            file,
            path,
            newest,
            failing: false,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The revision that it names, if any.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Remembers a revision that has become durable.
    pub fn note(&mut self, revision: u64) {
        if self.newest == Some(revision) {
            return;
        }
        self.newest = Some(revision);
        let line = format!("{HEAD}{revision:020}\n");
        let written = self.file.write_all_at(line.as_bytes(), 0);
        if let (Err(error), false) = (&written, self.failing) {
            // What is stored is stored; only the next start knows less.
            tracing::error!(%error, "{} could not be written", self.path.display());
        }
        self.failing = written.is_err();
    }
}

/// What the witness of a store file says, if there is one.
pub fn read(store: &Path) -> Option<u64> {
    parse(&std::fs::read(beside(store)).ok()?)
}

/// Makes the witness of a store file that is new at this revision.
pub fn write(store: &Path, revision: u64) -> std::io::Result<()> {
    let mut witness = Witness::open(beside(store))?;
    witness.note(revision);
    witness.file.sync_all()
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(HEAD.as_bytes())?.strip_suffix(b"\n")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
