//! The files of one container instance's log: `N.log`, and what the shim moved aside as `N.log.YYYYMMDD-HHMMSS`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::record::Record;

/// Where the search for line ends reads at once.
const BLOCK: usize = 32 << 10;
/// Time, stream and tag are within so many bytes of a record's start.
const RECORD_HEAD: usize = 64;

/// Paths of all files, oldest first.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(vec![path.to_owned()]);
    };
    let prefix = format!("{}.", name.display());
    let mut rotated: Vec<PathBuf> = fs::read_dir(directory)?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&prefix) && !name.ends_with(".gz") && !name.ends_with(".tmp")
        })
        .map(|entry| entry.path())
        .collect();
    // The suffix sorts by time.
    rotated.sort();
    rotated.push(path.to_owned());
    Ok(rotated)
}

/// Opens all files, oldest first. One that is removed meanwhile was the oldest, and is left out.
pub(super) fn open(path: &Path) -> io::Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for path in list(path)? {
        match File::open(&path) {
            Ok(file) => {
                // Renamed between the listing and now: seen under both names.
                let same = files.last().is_some_and(|last| is_same(last, &file));
                if !same {
                    files.push(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Whether two open files are one.
pub(super) fn is_same(one: &File, other: &File) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Where the last `lines` lines begin: index of the file, and offset in it. A line that is not finished counts.
pub(super) fn tail(files: &[File], lines: u64) -> io::Result<(usize, u64)> {
    let mut counter = Counter {
        wanted: lines,
        seen: 0,
        first: true,
    };
    for (index, file) in files.iter().enumerate().rev() {
        let size = file.metadata()?.len();
        if let Some(offset) = scan(file, size, &mut counter)? {
            return Ok((index, offset));
        }
    }
    Ok((0, 0))
}

struct Counter {
    wanted: u64,
    seen: u64,
    first: bool,
}

impl Counter {
    /// Takes the record before those seen so far. True if the wanted lines begin behind it.
    fn reaches(&mut self, full: bool) -> bool {
        if full || self.first {
            if self.seen == self.wanted {
                return true;
            }
            self.seen += 1;
        }
        self.first = false;
        false
    }
}

/// Goes backwards through the records of a file. Returns the offset behind the record that is one too many.
fn scan(file: &File, size: u64, counter: &mut Counter) -> io::Result<Option<u64>> {
    let mut block = vec![0; BLOCK];
    // Behind the record being looked for: its newline is at end - 1, unless the last record has none yet.
    let mut end = size;
    let mut position = size;
    while position > 0 {
        let length = position.min(BLOCK as u64) as usize;
        position -= length as u64;
        file.read_exact_at(&mut block[..length], position)?;
        for index in (0..length).rev().filter(|index| block[*index] == b'\n') {
            let start = position + index as u64 + 1;
            if start == size {
                continue;
            }
            if start < end {
                if counter.reaches(is_full(file, start, end)?) {
                    return Ok(Some(end));
                }
                end = start;
            }
        }
    }
    if end > 0 && counter.reaches(is_full(file, 0, end)?) {
        return Ok(Some(end));
    }
    Ok(None)
}

fn is_full(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let mut head = [0; RECORD_HEAD];
    let length = (end - start).min(RECORD_HEAD as u64) as usize;
    file.read_exact_at(&mut head[..length], start)?;
    Ok(Record::parse(&head[..length]).is_some_and(|record| record.full))
}
