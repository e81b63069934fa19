//! The redb file: opening, checking, loading and committing.
//!
//! - [`open`]: opening and checking; [`medium`]: what. [`error`]: what can go wrong.
//! - [`rows`]: which rows there are, and what is in them.
//! - [`reserve`]: room for deletions on a full disk.
//!
//! The whole file is checked when it is opened: redb verifies the checksums of all pages, and the
//! [witness](super::witness) beside it tells if the newest commits are missing. A file that fails is an error that says
//! what to do, never an older state.

mod error;
mod medium;
mod open;
mod reserve;
mod rows;

use std::borrow::Cow;

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable};

use super::index::Applied;
use super::witness::Witness;
use crate::encryption::Rules;
use crate::object::GroupResource;

pub use error::DiskError;
pub use medium::{File, Medium, file_in};
pub use open::builder;
use open::{meta, without_panic};
use reserve::Reserve;
pub use rows::{CHANGED, FORMAT, HIGHEST_START, META, Meta, NEWEST, OBJECTS, Row, decode, split};
use rows::{PLAIN, SEALED, encode, seal};

/// The open file.
#[derive(Debug)]
pub struct Disk {
    medium: Box<dyn Medium>,
    /// `None` after a failed write, until it could be opened again: redb refuses all work after an I/O error.
    database: Option<Database>,
    witness: Option<Witness>,
    /// `None` where there can be none, and until it is asked for.
    reserve: Option<Reserve>,
}

impl Disk {
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
            let known = Meta::read(&read)?;
            meta(known);
            for row in read.open_table(CHANGED)?.iter()? {
                let (resource, at) = row?;
                match split(resource.value()) {
                    Some((resource, _)) if at.value() <= known.revision => changed(resource, at.value()),
                    _ => bad = Some(format!("row {:?}", resource.value())),
                }
            }
            for row in read.open_table(OBJECTS)?.iter()? {
                let (key, value) = row?;
                let row = decode(key.value(), value.value()).and_then(|row| known.check(row));
                if let Err(why) = row.and_then(&mut object) {
                    bad = Some(format!("row {:?}: {why}", key.value()));
                }
            }
            Ok(())
        };
        without_panic(&name, || walk().map_err(|error| DiskError::new(&name, error)))?;
        bad.map_or(Ok(()), |why| Err(damaged(why)))
    }

    /// Stores changes in one durable transaction, after [`Disk::resume`]. When this fails, they may or may not have been
    /// stored; [`Disk::recover`] tells.
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

    /// Before deletions that the full disk has refused are tried again: makes room for them. False if there is none.
    pub fn release_reserve(&mut self) -> bool {
        self.reserve.as_mut().is_some_and(Reserve::release)
    }

    /// After those: takes back what room is left.
    pub fn fill_reserve(&mut self) {
        if let Some(Err(error)) = self.reserve.as_mut().map(Reserve::fill) {
            tracing::error!(%error, "the store's reserve could not be filled");
        }
    }

    /// Whether there is so little room that it is left to deletions.
    pub fn is_short(&mut self) -> bool {
        self.reserve.as_mut().is_some_and(Reserve::is_short)
    }

    /// After a commit that failed for good: closes the file, and sees to it that whoever opens it next reads what is on
    /// the medium.
    pub fn give_up(&mut self) {
        self.database = None;
        self.medium.forget_cache();
    }

    /// Before a commit: opens the file again if it could not be after the last one. What was refused then must not be
    /// there.
    pub fn resume(&mut self, known: u64) -> Result<(), DiskError> {
        if self.database.is_some() {
            return Ok(());
        }
        let found = self.recover()?;
        if found > known {
            return Err(DiskError::Other {
                path: self.medium.name(),
                why: format!("revision {found} is stored, though {known} was the last"),
            });
        }
        Ok(())
    }

    /// After a commit that the full disk refused: opens the file again and tells its revision.
    pub fn recover(&mut self) -> Result<u64, DiskError> {
        let name = self.medium.name();
        self.give_up();
        let meta = meta(self.reopen()?).map_err(|error| DiskError::new(&name, error))?;
        Ok(meta.revision)
    }
}
