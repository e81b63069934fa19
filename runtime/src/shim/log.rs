//! A container's log file: written in whole records, rotated by size. Whatever the disk does, the container goes on.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::lines::{self, Lines};
use super::protocol::LogPlan;
use crate::sys;

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    file: Option<File>,
    size: u64,
    stdout: Lines,
    stderr: Lines,
}

fn open(path: &Path) -> Option<(File, u64)> {
    use std::os::unix::fs::OpenOptionsExt;
    // The directory belongs to the kubelet; still, no symlink left there is followed by a process of root.
    let options = libc::O_NOFOLLOW;
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(options)
        .open(path)
        .ok()?;
    let size = file.metadata().ok()?.len();
    Some((file, size))
}

impl Log {
    /// Opens the log file; should that fail, output is dropped until [`Log::reopen`] succeeds.
    pub(super) fn new(plan: &LogPlan) -> Self {
        let path = PathBuf::from(&plan.path);
        let (file, size) = open(&path).map_or((None, 0), |(file, size)| (Some(file), size));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        Self {
            path,
            max_size: plan.max_size,
            max_files: plan.max_files,
            file,
            size,
            stdout,
            stderr,
        }
    }

    /// Opens the file anew, after somebody moved it.
    pub(super) fn reopen(&mut self) {
        if let Some((file, size)) = open(&self.path) {
            (self.file, self.size) = (Some(file), size);
        }
    }

    /// Records output.
    pub(super) fn write(&mut self, stderr: bool, data: &[u8]) {
        let time = lines::rfc3339(lines::now());
        let mut out = Vec::with_capacity(data.len() + 128);
        let (lines, name) = if stderr {
            (&mut self.stderr, "stderr")
        } else {
            (&mut self.stdout, "stdout")
        };
        lines.push(data, &time, name, &mut out);
        self.append(&out);
    }

    /// Records the unfinished line of a stream that has ended.
    pub(super) fn finish(&mut self, stderr: bool) {
        let time = lines::rfc3339(lines::now());
        let mut out = Vec::new();
        let (lines, name) = if stderr {
            (&mut self.stderr, "stderr")
        } else {
            (&mut self.stdout, "stdout")
        };
        lines.finish(&time, name, &mut out);
        self.append(&out);
    }

    fn append(&mut self, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        if self.max_size > 0 && self.size > 0 && self.size + records.len() as u64 > self.max_size {
            self.rotate();
        }
        let Some(file) = &self.file else { return };
        let mut written = 0;
        while written < records.len() {
            match sys::write_fd(file.as_fd(), &records[written..]) {
                Ok(n) if n > 0 => written += n,
                // A full disk: drop what does not fit, and take back a cut record so that the next begins on its own line.
                _ => {
                    written = records[..written]
                        .iter()
                        .rposition(|b| *b == b'\n')
                        .map_or(0, |end| end + 1);
                    let _ = sys::truncate(file.as_fd(), self.size + written as u64);
                    break;
                }
            }
        }
        self.size += written as u64;
    }

    /// Moves the file aside as `N.log.YYYYMMDD-HHMMSS` (as the kubelet names them) and opens a fresh one. At most once
    /// a second, since the name would be taken.
    fn rotate(&mut self) {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{}", lines::rotation_suffix(lines::now())));
        let aside = PathBuf::from(name);
        if aside.exists() || fs::rename(&self.path, &aside).is_err() {
            return;
        }
        self.reopen();
        self.drop_oldest();
    }

    fn drop_oldest(&self) {
        let (Some(directory), Some(name)) =
            (self.path.parent(), self.path.file_name().and_then(|n| n.to_str()))
        else {
            return;
        };
        let Ok(entries) = fs::read_dir(directory) else {
            return;
        };
        let prefix = format!("{name}.");
        let mut rotated: Vec<PathBuf> = entries
            .flatten()
            .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&prefix)))
            .map(|e| e.path())
            .collect();
        rotated.sort(); // the suffix sorts by time
        let keep = self.max_files.max(2) as usize - 1;
        for old in rotated.iter().take(rotated.len().saturating_sub(keep)) {
            let _ = fs::remove_file(old);
        }
    }
}
