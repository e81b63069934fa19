//! Opening: all of the file is checked, and what is not ours is refused.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Builder, Database, ReadableDatabase};

use super::reserve::Reserve;
use super::{CHANGED, Disk, DiskError, FORMAT, META, Medium, Meta, OBJECTS};
use crate::store::witness::{self, Witness};

/// Pages that redb keeps; all reads are served from our own index, so few are needed.
pub const CACHE_BYTES: usize = 2 << 20;

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
            reserve: None,
        };
        let database = disk.checked()?;
        disk.check_format(&database)?;
        let meta = without_panic(&name, || {
            meta(&database).map_err(|error| DiskError::new(&name, error))
        })?;
        if !meta.is_possible() {
            return Err(DiskError::Damaged {
                path: name,
                why: format!(
                    "its newest revision is {}, and what is older than {} is forgotten, which cannot be",
                    meta.revision, meta.compacted
                ),
            });
        }
        disk.check_witness(meta.revision)?;
        disk.database = Some(database);
        Ok(disk)
    }

    /// Keeps room for deletions from now on: for who serves the store, not for who looks into it or copies it.
    pub fn keep_reserve(&mut self) {
        self.reserve = self.medium.reserve().and_then(|path| {
            let opened = Reserve::open(&path);
            let failed = |error| tracing::warn!(%error, "there is no {}: a full disk will refuse deletions", path.display());
            opened.map_err(failed).ok()
        });
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

    pub(super) fn reopen(&mut self) -> Result<&Database, DiskError> {
        let name = self.medium.name();
        let database = without_panic(&name, || {
            self.medium
                .open(&builder())
                .map_err(|error| DiskError::new(&name, error.into()))
        })?;
        self.check_format(&database)?;
        Ok(self.database.insert(database))
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
}

/// Calls redb, which has assertions where a damaged file must give an error.
pub(super) fn without_panic<T>(
    name: &str,
    call: impl FnOnce() -> Result<T, DiskError>,
) -> Result<T, DiskError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(DiskError::Damaged {
            path: name.to_owned(),
            why: "its structure is inconsistent".to_owned(),
        })
    })
}

pub(super) fn meta(database: &Database) -> Result<Meta, redb::Error> {
    Meta::read(&database.begin_read()?)
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
