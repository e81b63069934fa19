//! Reading through a log's files, in order and across rotation.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;

use super::files;
use super::record::{Printer, Record};
use crate::server::query::LogOptions;

/// Read at once.
const BLOCK: usize = 32 << 10;
/// A longer record is none: the shim cuts lines at 16 KiB.
const RECORD_LIMIT: usize = 256 << 10;

/// A place in a log.
pub(super) struct Cursor {
    path: PathBuf,
    /// The file being read, then those after it.
    files: VecDeque<File>,
    offset: u64,
    /// The start of a record whose end is not written yet.
    partial: Vec<u8>,
    printer: Printer,
}

impl Cursor {
    /// Opens a log at the place where the answer begins. A log that does not exist is empty.
    pub(super) fn open(path: PathBuf, options: &LogOptions) -> io::Result<Self> {
        let mut open = files::open(&path)?;
        let mut offset = 0;
        if let Some(lines) = options.tail {
            let (index, start) = files::tail(&open, lines)?;
            open.drain(..index);
            offset = start;
        }
        Ok(Self {
            path,
            files: open.into(),
            offset,
            partial: Vec::new(),
            printer: Printer::new(options),
        })
    }

    /// What comes next; `None` if there is nothing now.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = Vec::new();
        while out.is_empty() && !self.is_done() {
            if self.read(&mut out)? {
                continue;
            }
            if self.files.len() <= 1 {
                let newer = self.newer()?;
                if newer.is_empty() {
                    break;
                }
                self.files.extend(newer);
                // What was written between our last read and the rename.
                if self.read(&mut out)? {
                    continue;
                }
            }
            self.files.pop_front();
            self.offset = 0;
            self.partial.clear();
        }
        Ok(if out.is_empty() { None } else { Some(out.into()) })
    }

    /// The byte limit is reached.
    pub(super) fn is_done(&self) -> bool {
        self.printer.is_done()
    }

    /// Reads a block of the current file. False at its end.
    fn read(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(file) = self.files.front() else {
            return Ok(false);
        };
        let start = self.partial.len();
        self.partial.resize(start + BLOCK, 0);
        let count = file.read_at(&mut self.partial[start..], self.offset);
        self.partial
            .truncate(start + count.as_ref().copied().unwrap_or(0));
        let count = count?;
        self.offset += count as u64;
        let mut used = 0;
        while let Some(length) = self.partial[used..].iter().position(|byte| *byte == b'\n') {
            // Lines that are no records are not ours to guess at.
            if let Some(record) = Record::parse(&self.partial[used..used + length]) {
                self.printer.print(&record, out);
            }
            used += length + 1;
        }
        self.partial.drain(..used);
        if self.partial.len() > RECORD_LIMIT {
            self.partial.clear();
        }
        Ok(count > 0)
    }

    /// The files that follow the current one.
    fn newer(&self) -> io::Result<Vec<File>> {
        let mut open = files::open(&self.path)?;
        let Some(current) = self.files.front() else {
            return Ok(open);
        };
        match open.iter().position(|file| files::is_same(file, current)) {
            Some(index) => Ok(open.split_off(index + 1)),
            // Removed as the oldest: everything there is newer.
            None => Ok(open),
        }
    }
}
