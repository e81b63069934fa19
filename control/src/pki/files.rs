//! Reading and writing the files: private, whole, durable.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::PkiError;

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> PkiError + 'a {
    move |source| PkiError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Makes `dir` (and its parents) and closes it to everybody else.
pub fn private_dir(dir: &Path) -> Result<(), PkiError> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(failed("creating", parent))?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(failed("creating", dir)(error));
        }
        _ => {}
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed("closing to others", dir))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    fs::read(path).map_err(failed("reading", path))
}

/// Whether there is something at `path`. An error other than "not found" is one.
pub fn exists(path: &Path) -> Result<bool, PkiError> {
    path.try_exists().map_err(failed("looking for", path))
}

/// Replaces `path` in one step: after a crash there is the old file or the new one, never half of it.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    // What a crashed predecessor left; `create_new` below then never follows somebody else's link.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("removing", &new)(error));
        }
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(failed("creating", &new))?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // The first failure is the one to report.
        let _ = fs::remove_file(&new);
        return Err(failed("writing", path)(error));
    }
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("syncing", dir))
}
