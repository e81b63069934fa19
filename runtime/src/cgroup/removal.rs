//! Ending everything in a cgroup, and removing it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;

use super::Error;
use crate::sys;

/// Kills everything in a cgroup and below; an absent one has nothing.
pub fn kill(path: &Path) -> Result<(), Error> {
    match fs::write(path.join("cgroup.kill"), "1") {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound) || e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        other => other.map_err(Error::io(format!("killing cgroup {}", path.display()))),
    }
}

/// Kills everything in a cgroup, waits until it is empty, and removes it and those below. Absent is fine.
pub fn remove(path: &Path) -> Result<(), Error> {
    kill(path)?;
    wait_empty(path)?;
    for child in fs::read_dir(path).into_iter().flatten().flatten() {
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&child.path())?;
        }
    }
    match fs::remove_dir(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io(format!("removing cgroup {}", path.display()))),
    }
}

/// Waits for `populated 0` in `cgroup.events`, whose change the kernel announces.
fn wait_empty(path: &Path) -> Result<(), Error> {
    // Killed processes end at once, but for one stuck in the kernel (a dead network file system): give up on that one.
    const STUCK_MS: i32 = 10_000;
    let what = || format!("waiting for cgroup {} to become empty", path.display());
    let Ok(file) = File::open(path.join("cgroup.events")) else {
        return Ok(());
    };
    loop {
        let mut text = String::new();
        let read = std::io::Seek::rewind(&mut &file)
            .and_then(|()| std::io::Read::read_to_string(&mut &file, &mut text));
        match read {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            other => other.map_err(Error::io(what()))?,
        };
        if !text.contains("populated 1") {
            return Ok(());
        }
        // The kernel reports POLLPRI and POLLERR once for each change since the last read.
        if !sys::poll_priority(file.as_fd(), STUCK_MS).map_err(Error::io(what()))? {
            return Err(Error {
                what: what(),
                source: ErrorKind::TimedOut.into(),
            });
        }
    }
}
