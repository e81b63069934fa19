//! From a file to a new store.
//!
//! Clients may have seen revisions younger than the snapshot. Were they given out again, a client could take another
//! state for the one that it knows, and miss changes for ever. So the restored store begins at a revision that no client
//! can have seen, and knows nothing of what was before: watches and paged lists from then get `410 Gone`, and their
//! clients list anew (what etcdutl calls `--bump-revision` and `--mark-compacted`).

use std::fs::File;
use std::io::{BufReader, ErrorKind, Seek};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use redb::{Database, Durability};

use super::format::{Reader, Record};
use super::{SnapshotError, Summary, verify};
use crate::store::disk::{self, CHANGED, Disk, DiskError, FORMAT, META, OBJECTS, file_in};
use crate::store::witness;

/// By how much revisions go up: more than a cluster writes between two snapshots (etcd's documentation has the same).
pub const BUMP: u64 = 1_000_000_000;
/// Rows in one transaction.
const BATCH: usize = 4096;

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct Restore {
    /// By how much the revision is raised.
    pub bump: u64,
    /// Replace a store that is there; it is kept beside the new one.
    pub force: bool,
}

impl Default for Restore {
    fn default() -> Self {
        Self {
            bump: BUMP,
            force: false,
        }
    }
}

/// Restores a snapshot to a directory that has no store. The snapshot is checked before anything is written, and the store
/// appears complete or not at all. Returns what was restored and the new store's revision.
pub fn restore(snapshot: &Path, dir: &Path, how: &Restore) -> Result<(Summary, u64), SnapshotError> {
    let opened = format!("opening {}", snapshot.display());
    let mut input = File::open(snapshot).map_err(SnapshotError::io(opened))?;
    let summary = verify(BufReader::new(&input))?;
    input
        .rewind()
        .map_err(SnapshotError::io(format!("reading {}", snapshot.display())))?;
    let target = file_in(dir);
    // What an old store or what remains of it is known to have given out.
    let mut floor = summary.revision.max(witness::read(&target).unwrap_or(0));
    // Held until the end, so that nobody opens the old store meanwhile.
    let mut held = None;
    if is_there(&target) {
        match Disk::open(Box::new(disk::File(target.clone()))) {
            Err(error @ DiskError::Locked(_)) => return Err(SnapshotError::Store(error.to_string())),
            _ if !how.force => return Err(SnapshotError::NotEmpty(dir.to_owned())),
            Ok(disk) => {
                let revision = disk.revision();
                floor = floor.max(revision.map_err(|error| SnapshotError::Store(error.to_string()))?);
                held = Some(disk);
            }
            // Damaged: what it is replaced for.
            Err(_) => {}
        }
    }
    let revision = floor
        .checked_add(how.bump)
        .filter(|revision| *revision <= disk::HIGHEST_START)
        .ok_or(SnapshotError::TooHigh {
            revision: floor,
            bump: how.bump,
        })?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(SnapshotError::io(format!("creating {}", dir.display())))?;
    let building = Unfinished(dir.join(format!("store.restoring-{}", std::process::id())));
    let restored = build(input, &building.0, revision)?;
    if restored != summary {
        return Err(SnapshotError::Damaged("it changed while it was read".to_owned()));
    }
    place(&building.0, &target, revision, how.force)?;
    drop(held);
    Ok((summary, revision))
}

/// A file that is removed whatever happens; once it has its place, its name is gone already.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes a store file with the snapshot's rows.
fn build(input: File, path: &Path, revision: u64) -> Result<Summary, SnapshotError> {
    let failed = |error: redb::Error| SnapshotError::Store(format!("writing {}: {error}", path.display()));
    let mut reader = Reader::new(BufReader::new(input))?;
    let database = disk::builder()
        .create(path)
        .map_err(|error| failed(error.into()))?;
    let mut rows = Vec::new();
    let mut more = true;
    while more {
        more = fill(&mut reader, &mut rows)?;
        insert(&database, &rows).map_err(failed)?;
        rows.clear();
    }
    let finish = || -> Result<(), redb::Error> {
        let mut write = database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            let mut meta = write.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("revision", revision)?;
            // Also without a bump: of the history before, this store knows nothing.
            meta.insert("compacted", revision)?;
            write.open_table(CHANGED)?;
            write.open_table(OBJECTS)?;
        }
        write.commit()?;
        Ok(())
    };
    finish().map_err(failed)?;
    drop(database);
    let synchronized = File::open(path).and_then(|file| file.sync_all());
    synchronized.map_err(SnapshotError::io(format!("writing {}", path.display())))?;
    reader.summary()
}

/// A row of one of the two tables.
enum Row {
    Object(String, Vec<u8>),
    Changed(String, u64),
}

/// Reads some rows; false at the end.
fn fill(reader: &mut Reader<BufReader<File>>, rows: &mut Vec<Row>) -> Result<bool, SnapshotError> {
    let mut bytes = 0;
    while rows.len() < BATCH && bytes < 8 << 20 {
        match reader.next()? {
            None => return Ok(false),
            Some(Record::Object(key, row)) => {
                bytes += row.len();
                rows.push(Row::Object(key.to_owned(), row.to_owned()));
            }
            Some(Record::Changed(prefix, revision)) => rows.push(Row::Changed(prefix.to_owned(), revision)),
        }
    }
    Ok(true)
}

fn insert(database: &Database, rows: &[Row]) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    // Made durable by the last transaction.
    write.set_durability(Durability::None)?;
    {
        let mut objects = write.open_table(OBJECTS)?;
        let mut changed = write.open_table(CHANGED)?;
        for row in rows {
            match row {
                Row::Object(key, row) => drop(objects.insert(key.as_str(), row.as_slice())?),
                Row::Changed(prefix, revision) => drop(changed.insert(prefix.as_str(), revision)?),
            }
        }
    }
    write.commit()?;
    Ok(())
}

/// Gives the finished file its name.
fn place(from: &Path, target: &Path, revision: u64, force: bool) -> Result<(), SnapshotError> {
    let witness = witness::beside(target);
    let put = || -> std::io::Result<()> {
        if force {
            for old in [target, witness.as_path()] {
                match std::fs::rename(old, kept(old)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        // A link, because it never replaces what somebody has just created there.
        std::fs::hard_link(from, target)?;
        witness::write(target, revision)?;
        match target.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    put().map_err(SnapshotError::io(format!("creating {}", target.display())))
}

/// Where the file that was replaced is kept.
fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".before-restore");
    name.into()
}
