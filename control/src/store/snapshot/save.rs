//! From the store to a stream.

use std::io::{BufWriter, Write};
use std::path::Path;

use redb::{ReadTransaction, ReadableTable};

use super::format::{Record, Writer};
use super::{SnapshotError, Summary};
use crate::store::disk::{CHANGED, Disk, DiskError, File, Meta, OBJECTS, file_in};
use crate::store::writer::now;

/// The state of a store at one revision, whatever is written while it is copied.
///
/// As long as it lives, the pages that it shows are kept: the file grows by what is written meanwhile.
pub struct Snapshot(ReadTransaction);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(in crate::store) fn new(view: ReadTransaction) -> Self {
        Self(view)
    }

    /// Copies it. Blocks while the disk is read and the output is written.
    pub fn write(&self, out: impl Write) -> Result<Summary, SnapshotError> {
        let read = |error: redb::Error| SnapshotError::Store(format!("reading the store: {error}"));
        let written = SnapshotError::io;
        let meta = Meta::read(&self.0).map_err(read)?;
        let mut writer = Writer::new(BufWriter::with_capacity(64 << 10, out), meta, now())
            .map_err(written("writing the snapshot"))?;
        let changed = self.0.open_table(CHANGED).map_err(|error| read(error.into()))?;
        for row in changed.iter().map_err(|error| read(error.into()))? {
            let (prefix, revision) = row.map_err(|error| read(error.into()))?;
            writer
                .record(&Record::Changed(prefix.value(), revision.value()))
                .map_err(written("writing the snapshot"))?;
        }
        let objects = self.0.open_table(OBJECTS).map_err(|error| read(error.into()))?;
        for row in objects.iter().map_err(|error| read(error.into()))? {
            let (key, value) = row.map_err(|error| read(error.into()))?;
            writer
                .record(&Record::Object(key.value(), value.value()))
                .map_err(written("writing the snapshot"))?;
        }
        writer.finish().map_err(written("writing the snapshot"))
    }
}

/// Saves the store in a directory that no control plane has open; `None` if one has.
pub fn save(dir: &Path, out: impl Write) -> Result<Option<Summary>, SnapshotError> {
    let path = file_in(dir);
    if !path.exists() {
        return Err(SnapshotError::NoStore(dir.to_owned()));
    }
    let disk = match Disk::open(Box::new(File(path))) {
        Ok(disk) => disk,
        Err(DiskError::Locked(_)) => return Ok(None),
        Err(error) => return Err(SnapshotError::Store(error.to_string())),
    };
    let view = disk
        .view()
        .map_err(|error| SnapshotError::Store(error.to_string()))?;
    Snapshot(view).write(out).map(Some)
}
