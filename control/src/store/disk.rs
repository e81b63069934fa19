//! The redb file: which rows there are, opening, loading and committing.
//!
//! Rows of `objects`: key `group/resource/KEY`, value `version byte, expiry (u64), revision (u64), JSON`, the JSON sealed by
//! [`crate::encryption`] where that is configured. `changed` holds the revision of the last change of each resource, so that
//! a client's watch survives a restart; `meta` the revision, and after a restore the revision below which nothing is known.
//!
//! The whole file is checked when it is opened: redb verifies the checksums of all pages, and the [`witness`] beside it
//! tells if the newest commits are missing. A file that fails is an error that says what to do, never an older state.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
};

use super::index::Applied;
use super::witness::{self, Witness};
use crate::encryption::{Rules, path_of};
use crate::object::GroupResource;

pub const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
pub const CHANGED: TableDefinition<'_, &str, u64> = TableDefinition::new("changed");
pub const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Format of the rows; a file of another format is refused.
pub const FORMAT: u64 = 1;
/// First byte of an object's row: plain JSON follows the header.
const PLAIN: u8 = 0;
/// First byte of an object's row: encrypted JSON follows the header, so that versions that know no encryption refuse it.
const SEALED: u8 = 1;
/// Bytes before the JSON.
pub const HEADER: usize = 17;
/// Pages that redb keeps; all reads are served from our own index, so few are needed.
pub const CACHE_BYTES: usize = 2 << 20;

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
}

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

/// A row as loaded.
#[derive(Debug)]
pub struct Row<'a> {
    /// Resource.
    pub resource: GroupResource,
    /// Key inside the resource.
    pub key: &'a str,
    /// Expiry in Unix seconds.
    pub expires: Option<u64>,
    /// Revision of the last change.
    pub revision: u64,
    /// JSON, possibly sealed.
    pub stored: &'a [u8],
}

/// The open file.
#[derive(Debug)]
pub struct Disk {
    medium: Box<dyn Medium>,
    /// `None` after a failed write, until it could be opened again: redb refuses all work after an I/O error.
    database: Option<Database>,
    witness: Option<Witness>,
}

/// Calls redb, which has assertions where a damaged file must give an error.
fn without_panic<T>(name: &str, call: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(DiskError::Damaged {
            path: name.to_owned(),
            why: "its structure is inconsistent".to_owned(),
        })
    })
}

/// The settings that every redb file of ours is opened with.
pub fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

impl Disk {
    /// Opens or creates the file, and checks all of it.
    pub fn open(medium: Box<dyn Medium>) -> Result<Self, DiskError> {
        let name = medium.name();
        let witness = medium.witness().map(Witness::open).transpose();
        let witness = witness.map_err(|source| DiskError::Io {
            path: witness::beside(Path::new(&name)).display().to_string(),
            source,
        })?;
        let mut disk = Self {
            medium,
            database: None,
            witness,
        };
        let database = disk.checked()?;
        disk.check_format(&database)?;
        let revision = without_panic(&name, || {
            revision(&database).map_err(|error| DiskError::new(&name, error))
        })?;
        disk.check_witness(revision)?;
        disk.database = Some(database);
        Ok(disk)
    }

    /// Opens the file and verifies the checksums of all pages: redb itself does so only after an unclean end, and
    /// flipped bits would otherwise be served to whoever reads them.
    fn checked(&self) -> Result<Database, DiskError> {
        let name = self.medium.name();
        without_panic(&name, || {
            let repaired = Arc::new(AtomicBool::new(false));
            let mut builder = builder();
            let noted = Arc::clone(&repaired);
            builder.set_repair_callback(move |_| noted.store(true, Ordering::Relaxed));
            let opened = self.medium.open(&builder).and_then(|mut database| {
                // A repair has just done the same.
                if !repaired.load(Ordering::Relaxed) && !database.check_integrity()? {
                    tracing::warn!("{name} had lost track of its free pages; nothing else was wrong");
                }
                Ok(database)
            });
            opened.map_err(|error| DiskError::new(&name, error.into()))
        })
    }

    /// An older state than the one that was last made durable is damage, however sound it looks.
    fn check_witness(&mut self, found: u64) -> Result<(), DiskError> {
        let Some(witness) = &mut self.witness else {
            return Ok(());
        };
        match witness.newest() {
            Some(newest) if newest > found => Err(DiskError::Damaged {
                path: self.medium.name(),
                why: format!(
                    "it ends at revision {found}, but revision {newest} had been stored, says {}",
                    witness.path().display()
                ),
            }),
            _ => {
                witness.note(found);
                Ok(())
            }
        }
    }

    fn reopen(&mut self) -> Result<&Database, DiskError> {
        let name = self.medium.name();
        let database = without_panic(&name, || {
            self.medium
                .open(&builder())
                .map_err(|error| DiskError::new(&name, error.into()))
        })?;
        self.check_format(&database)?;
        Ok(self.database.insert(database))
    }

    /// A consistent view of all rows, whatever is written afterwards.
    pub fn view(&self) -> Result<ReadTransaction, DiskError> {
        let name = self.medium.name();
        let Some(database) = &self.database else {
            return Err(DiskError::Other {
                path: name,
                why: "not open".to_owned(),
            });
        };
        database
            .begin_read()
            .map_err(|error| DiskError::new(&name, error.into()))
    }

    /// Makes the tables of a new file; refuses what is not ours without touching it.
    fn check_format(&self, database: &Database) -> Result<(), DiskError> {
        let name = self.medium.name();
        let found = without_panic(&name, || {
            format(database).map_err(|error| DiskError::new(&name, error))
        })?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(DiskError::Format { path: name, found }),
            None => Err(DiskError::Damaged {
                path: name,
                why: "it is another program's database".to_owned(),
            }),
        }
    }

    /// The revision of the newest change.
    pub fn revision(&self) -> Result<u64, DiskError> {
        let meta = Meta::read(&self.view()?);
        meta.map(|meta| meta.revision)
            .map_err(|error| DiskError::new(&self.medium.name(), error))
    }

    /// Reads everything: first the revisions, then the last change of each resource, then the objects.
    pub fn load(
        &self,
        mut meta: impl FnMut(Meta),
        mut changed: impl FnMut(GroupResource, u64),
        mut object: impl FnMut(Row<'_>) -> Result<(), String>,
    ) -> Result<(), DiskError> {
        let name = self.medium.name();
        let read = self.view()?;
        let damaged = |why: String| DiskError::Damaged {
            path: name.clone(),
            why,
        };
        let mut bad = None;
        let mut walk = || -> Result<(), redb::Error> {
            meta(Meta::read(&read)?);
            for row in read.open_table(CHANGED)?.iter()? {
                let (resource, at) = row?;
                match split(resource.value()) {
                    Some((resource, _)) => changed(resource, at.value()),
                    None => bad = Some(format!("row {:?}", resource.value())),
                }
            }
            for row in read.open_table(OBJECTS)?.iter()? {
                let (key, value) = row?;
                if let Err(why) = decode(key.value(), value.value()).and_then(&mut object) {
                    bad = Some(format!("row {:?}: {why}", key.value()));
                }
            }
            Ok(())
        };
        without_panic(&name, || walk().map_err(|error| DiskError::new(&name, error)))?;
        bad.map_or(Ok(()), |why| Err(damaged(why)))
    }

    /// Stores changes in one durable transaction. When this fails, they may or may not have been stored;
    /// [`Disk::recover`] tells.
    pub fn commit(&mut self, changes: &[Applied], rules: &Rules) -> Result<(), DiskError> {
        let name = self.medium.name();
        let sealed = changes
            .iter()
            .map(|change| seal(change, rules))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| DiskError::Seal {
                path: name.clone(),
                source,
            })?;
        if self.database.is_none() {
            self.reopen()?;
        }
        let Some(database) = &self.database else {
            return Err(DiskError::Other {
                path: name,
                why: "not open".to_owned(),
            });
        };
        let done = (|| -> Result<(), redb::Error> {
            let mut write = database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            {
                let mut objects = write.open_table(OBJECTS)?;
                let mut changed = write.open_table(CHANGED)?;
                let mut buffer = Vec::new();
                let mut last = std::collections::BTreeMap::new();
                for (change, stored) in changes.iter().zip(&sealed) {
                    let prefix = format!("{}/{}/", change.resource.group, change.resource.resource);
                    let key = format!("{prefix}{}", change.key);
                    if change.deleted {
                        objects.remove(key.as_str())?;
                    } else {
                        let form = match stored {
                            Cow::Borrowed(_) => PLAIN,
                            Cow::Owned(_) => SEALED,
                        };
                        encode(change, form, stored, &mut buffer);
                        objects.insert(key.as_str(), buffer.as_slice())?;
                    }
                    last.insert(prefix, change.object.resource_version);
                }
                for (prefix, revision) in last {
                    changed.insert(prefix.as_str(), revision)?;
                }
                if let Some(change) = changes.last() {
                    write
                        .open_table(META)?
                        .insert("revision", change.object.resource_version)?;
                }
            }
            write.commit()?;
            Ok(())
        })();
        done.map_err(|error| {
            self.database = None;
            DiskError::new(&name, error)
        })?;
        if let (Some(witness), Some(change)) = (&mut self.witness, changes.last()) {
            witness.note(change.object.resource_version);
        }
        Ok(())
    }

    /// After a commit that failed for good: closes the file, and sees to it that whoever opens it next reads what is on
    /// the medium.
    pub fn give_up(&mut self) {
        self.database = None;
        self.medium.forget_cache();
    }

    /// After a commit that the full disk refused: opens the file again and tells its revision.
    pub fn recover(&mut self) -> Result<u64, DiskError> {
        let name = self.medium.name();
        self.give_up();
        revision(self.reopen()?).map_err(|error| DiskError::new(&name, error))
    }
}

/// The revisions that a file holds beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Revision of the newest change.
    pub revision: u64,
    /// Nothing is known of what happened up to this revision (0: everything is; see [`super::snapshot`]).
    pub compacted: u64,
}

impl Meta {
    /// Reads them.
    pub fn read(view: &ReadTransaction) -> Result<Self, redb::Error> {
        let meta = view.open_table(META)?;
        let number = |name: &str| meta.get(name).map(|row| row.map(|row| row.value()));
        Ok(Self {
            revision: number("revision")?.unwrap_or(1),
            compacted: number("compacted")?.unwrap_or(0),
        })
    }
}

fn revision(database: &Database) -> Result<u64, redb::Error> {
    Ok(Meta::read(&database.begin_read()?)?.revision)
}

/// The format of a file, which gets the tables if it is new; `None` if it is not ours.
fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let view = database.begin_read()?;
    if view.list_tables()?.next().is_some() || view.list_multimap_tables()?.next().is_some() {
        return match view.open_table(META) {
            Ok(meta) => Ok(meta.get("format")?.map(|row| row.value())),
            Err(redb::TableError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None),
        };
    }
    let write = database.begin_write()?;
    write.open_table(META)?.insert("format", FORMAT)?;
    write.open_table(OBJECTS)?;
    write.open_table(CHANGED)?;
    write.commit()?;
    Ok(Some(FORMAT))
}

/// What is stored of a change's object; nothing of a deletion.
fn seal<'a>(change: &'a Applied, rules: &Rules) -> Result<Cow<'a, [u8]>, crate::encryption::SealError> {
    let chain = rules.of(&change.resource);
    if change.deleted || !chain.encrypts() {
        return Ok(Cow::Borrowed(&change.object.bytes));
    }
    chain.seal(&path_of(&change.resource, &change.key), &change.object.bytes)
}

fn encode(change: &Applied, form: u8, stored: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(form);
    out.extend_from_slice(&change.expires.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&change.object.resource_version.to_le_bytes());
    out.extend_from_slice(stored);
}

/// Splits `group/resource/KEY`.
pub fn split(row: &str) -> Option<(GroupResource, &str)> {
    let (group, rest) = row.split_once('/')?;
    let (resource, key) = rest.split_once('/')?;
    Some((GroupResource::new(group, resource), key))
}

fn decode<'a>(key: &'a str, value: &'a [u8]) -> Result<Row<'a>, String> {
    let (resource, key) = split(key).ok_or("bad key")?;
    let (header, stored) = value.split_at_checked(HEADER).ok_or("too short")?;
    if !matches!(header[0], PLAIN | SEALED) {
        return Err(format!("unknown encoding {}", header[0]));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    Ok(Row {
        resource,
        key,
        expires: Some(number(1)).filter(|at| *at != 0),
        revision: number(9),
        stored,
    })
}

/// The path of the store file in a directory.
pub fn file_in(dir: &Path) -> PathBuf {
    dir.join("store.redb")
}
