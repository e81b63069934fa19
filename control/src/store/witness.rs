//! The newest durable revision, in a file of its own beside the store.
//!
//! redb keeps two roots, and after an unclean end goes on from the older one if the newer one does not verify. It cannot
//! know whether that one was never finished, or was acknowledged and has been damaged since; nor can it know that
//! somebody put an older copy of the file in its place. The witness does: it is written after each commit, so it never
//! names a revision that was not durable. It is not synchronized, because it need not be complete: the system keeps it
//! when only the process dies, and after a power loss an older one accuses nobody. Its own checksum keeps a damaged one
//! from accusing a sound store.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the file holds: this, the revision in 20 digits, a checksum of both in 8 hexadecimal ones, and a line end. The
/// first versions had no checksum.
const HEAD: &str = "keelson store revision ";
/// Longer than it ever is.
const MOST: u64 = 100;

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
        let mut bytes = Vec::new();
        (&file).take(MOST).read_to_end(&mut bytes)?;
        let newest = parse(&bytes);
        if newest.is_none() && !bytes.is_empty() {
            tracing::warn!("{} cannot be read; it is written anew", path.display());
            // What is longer than a line would stay behind it.
            file.set_len(0)?;
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
        let said = format!("{HEAD}{revision:020}");
        let line = format!("{said} {}\n", checksum(&said));
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
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let digits = match line.rsplit_once(' ')? {
        (said, sum) if sum.len() == 8 => (sum == checksum(said)).then_some(said)?.strip_prefix(HEAD)?,
        _ => line.strip_prefix(HEAD)?,
    };
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok())?
}

fn checksum(said: &str) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(said).into();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}
