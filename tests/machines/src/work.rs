//! Directories of running machines, switches and disks. Each goes with its owner; what a killed process left goes when the
//! next one begins.

use std::fs;
use std::path::Path;

use crate::Error;

const PREFIX: &str = "keelson-vm-";

/// Makes a directory. Its path is short: it holds sockets.
pub(crate) fn directory() -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .tempdir()
        .map_err(Error::io("making a directory for a machine"))
}

/// Removes the directories of processes that have gone.
pub(crate) fn remove_stale() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let gone = entry
            .file_name()
            .to_str()
            .and_then(owner)
            .is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if gone {
            // Another process may be at the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made a directory of that name.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_name_their_owner() {
        let directory = directory().unwrap();
        let name = directory.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(owner(name), Some(std::process::id()));
        assert_eq!(owner("keelson-vm-x"), None);
        assert_eq!(owner("keelson-test-12-x"), None);
        remove_stale();
        assert!(directory.path().exists());
    }
}
