//! Ending everything in a cgroup, and removing it. The shim is built from this file as well.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::sys;

fn named(what: &'static str, path: &Path) -> impl FnOnce(Error) -> Error {
    let path = path.display().to_string();
    move |e| Error::new(e.kind(), format!("{what} cgroup {path}: {e}"))
}

/// Kills everything in a cgroup and below; an absent one has nothing.
pub fn kill(path: &Path) -> Result<()> {
    match fs::write(path.join("cgroup.kill"), "1") {
        Err(e) if gone(&e) => Ok(()),
        other => other.map_err(named("killing", path)),
    }
}

fn gone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// Kills everything in a cgroup, waits until it is empty, and removes it and those below. Absent is fine.
pub fn remove(path: &Path) -> Result<()> {
    kill(path)?;
    wait_empty(path)?;
    visit(path, true, |_| {}).map_err(named("removing below", path))?;
    match fs::remove_dir(path) {
        Err(e) if gone(&e) => Ok(()),
        other => other.map_err(named("removing", path)),
    }
}

/// The directory behind a descriptor, by a name that stays short however deep it lies.
fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Calls `each` with every directory from `top` on, and removes those below it if asked. By descriptor, one at a time: a
/// container may nest its cgroups deeper than a path, a stack or the descriptors would reach.
pub fn visit(top: &Path, remove: bool, mut each: impl FnMut(&Path)) -> Result<()> {
    let mut at: OwnedFd = match File::open(top) {
        Err(e) if gone(&e) => return Ok(()),
        other => other?.into(),
    };
    each(&by_descriptor(&at));
    // For every level that we are below: the names still to be entered there.
    let mut levels = vec![children(&at)?];
    let mut names: Vec<CString> = Vec::new();
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.pop() {
            match sys::open_at(at.as_fd(), &name, libc::O_RDONLY | libc::O_DIRECTORY, 0) {
                Ok(below) => at = below,
                Err(_) => continue, // gone meanwhile
            }
            each(&by_descriptor(&at));
            levels.push(children(&at)?);
            names.push(name);
            continue;
        }
        levels.pop();
        if let Some(name) = names.pop() {
            at = sys::open_at(at.as_fd(), c"..", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
            if remove {
                match sys::remove_dir_at(at.as_fd(), &name) {
                    Ok(()) | Err(sys::Errno(libc::ENOENT)) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }
    Ok(())
}

fn children(directory: &OwnedFd) -> Result<Vec<CString>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in fs::read_dir(by_descriptor(directory))? {
        let Ok(entry) = entry else { break }; // the directory went away
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(CString::new(entry.file_name().as_bytes()));
        }
    }
    Ok(names)
}

/// Waits for `populated 0` in `cgroup.events`, whose change the kernel announces.
fn wait_empty(path: &Path) -> Result<()> {
    // Killed processes end at once, but for one stuck in the kernel (a dead network file system): give up on that one.
    const STUCK_MS: i32 = 10_000;
    let Ok(file) = File::open(path.join("cgroup.events")) else {
        return Ok(());
    };
    loop {
        let mut text = String::new();
        let read = std::io::Seek::rewind(&mut &file)
            .and_then(|()| std::io::Read::read_to_string(&mut &file, &mut text));
        match read {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            other => other.map_err(named("waiting for", path))?,
        };
        if !text.contains("populated 1") {
            return Ok(());
        }
        // The kernel reports POLLPRI and POLLERR once for each change since the last read.
        let changed = sys::poll_priority(file.as_fd(), STUCK_MS).map_err(Error::from);
        if !changed.map_err(named("waiting for", path))? {
            return Err(named("waiting for", path)(ErrorKind::TimedOut.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_trees() {
        let top = tempfile::tempdir().unwrap();
        let mut at: OwnedFd = File::open(top.path()).unwrap().into();
        let name = c"a-name-of-some-length";
        for _ in 0..2000 {
            sys::mkdir_at(at.as_fd(), name, 0o755).unwrap();
            at = sys::open_at(at.as_fd(), name, libc::O_RDONLY | libc::O_DIRECTORY, 0).unwrap();
        }
        fs::create_dir_all(top.path().join("b/c")).unwrap();
        let mut count = 0;
        visit(top.path(), false, |_| count += 1).unwrap();
        assert_eq!(count, 2003);
        visit(top.path(), true, |_| {}).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
        visit(Path::new("/nonexistent"), true, |_| {}).unwrap();
    }
}
