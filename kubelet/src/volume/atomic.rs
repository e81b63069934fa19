//! Writing a set of files so that a reader sees the old set or the new one, never a mixture.
//!
//! The files lie in a directory named for the time; the link `..data` names it, and each file's visible name is a
//! link through `..data`. Replacing that one link switches all of them. Source: `pkg/volume/util/atomic_writer.go`,
//! whose layout programs in containers rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;

use super::ownership::{Owner, chown};
use super::payload::{File, check_path};
use super::{Error, dirs};

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// Makes `directory` show exactly `files`. Does nothing if it does already.
pub(super) fn write(directory: &Path, files: &BTreeMap<String, File>, owner: Owner) -> Result<(), Error> {
    files.keys().try_for_each(|path| check_path(path))?;
    dirs::create_private(directory)?;
    set_mode(directory, directory_mode(owner))?;
    chown(directory, None, owner.gid)?;
    let current = current(directory);
    if let Some(current) = &current
        && same(current, files, owner)
    {
        return Ok(());
    }
    let name = fresh_name();
    let fresh = directory.join(&name);
    make_directory(&fresh, owner)?;
    for (path, file) in files {
        write_file(&fresh, path, file, owner)?;
    }
    switch(directory, &name)?;
    let visible: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    link_visible(directory, &visible)?;
    remove_stale(directory, &visible, &name)
}

fn fresh_name() -> String {
    let now = Timestamp::now();
    let (seconds, nanos) = (now.as_second(), now.subsec_nanosecond());
    let text = keelson_api::time::format(seconds);
    let stamp: String = text
        .chars()
        .filter(|c| *c != 'Z')
        .map(|c| if c.is_ascii_digit() { c } else { '_' })
        .collect();
    format!("..{stamp}.{nanos:09}")
}

fn current(directory: &Path) -> Option<PathBuf> {
    let target = fs::read_link(directory.join(DATA)).ok()?;
    Some(directory.join(target))
}

/// Whether a directory holds exactly these files.
fn same(directory: &Path, files: &BTreeMap<String, File>, owner: Owner) -> bool {
    let unchanged = |(path, file): (&String, &File)| {
        let path = directory.join(path);
        let mode = fs::metadata(&path).map(|m| m.permissions().mode() & 0o7777);
        mode.is_ok_and(|mode| mode == file_mode(file, owner))
            && fs::read(&path).is_ok_and(|data| data == file.data)
    };
    files.iter().all(unchanged) && count_files(directory).is_ok_and(|count| count == files.len())
}

fn count_files(directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() {
            count_files(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}

fn directory_mode(owner: Owner) -> u32 {
    if owner.gid.is_some() { 0o2755 } else { 0o755 }
}

/// The mode as asked, opened to the group that `fsGroup` names; a token only to its owner and that group.
fn file_mode(file: &File, owner: Owner) -> u32 {
    let base = if file.private && (owner.uid.is_some() || owner.gid.is_some()) {
        0o600
    } else {
        file.mode
    };
    if owner.gid.is_some() { base | 0o440 } else { base }
}

fn make_directory(path: &Path, owner: Owner) -> Result<(), Error> {
    let created = fs::DirBuilder::new().mode(0o755).create(path);
    match created {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Error::io(format!("create {}", path.display()))(error));
        }
        _ => {}
    }
    chown(path, None, owner.gid)?;
    set_mode(path, directory_mode(owner))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(Error::io(format!("chmod {}", path.display())))
}

fn write_file(base: &Path, path: &str, file: &File, owner: Owner) -> Result<(), Error> {
    let full = base.join(path);
    let mut parent = base.to_owned();
    for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
        parent.push(part);
        make_directory(&parent, owner)?;
    }
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&full)
        .map_err(Error::io(format!("create {}", full.display())))?;
    out.write_all(&file.data)
        .map_err(Error::io(format!("write {}", full.display())))?;
    chown(&full, owner.uid.filter(|_| file.private), owner.gid)?;
    // Last, and by name: the umask does not apply, and changing the owner clears set-id bits.
    set_mode(&full, file_mode(file, owner))
}

fn switch(directory: &Path, name: &str) -> Result<(), Error> {
    let new = directory.join(DATA_NEW);
    remove_if_there(&new)?;
    symlink(name, &new).map_err(Error::io(format!("link {}", new.display())))?;
    fs::rename(&new, directory.join(DATA)).map_err(Error::io(format!("rename {}", new.display())))
}

fn link_visible(directory: &Path, names: &BTreeSet<&str>) -> Result<(), Error> {
    for name in names {
        let link = directory.join(name);
        match symlink(Path::new(DATA).join(name), &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io(format!("link {}", link.display()))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes visible names that are no longer wanted and the directories of former writes.
fn remove_stale(directory: &Path, visible: &BTreeSet<&str>, keep: &str) -> Result<(), Error> {
    let list = || Error::io(format!("list {}", directory.display()));
    for entry in fs::read_dir(directory).map_err(list())? {
        let entry = entry.map_err(list())?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name == DATA || name == keep || visible.contains(name.as_str()) {
            continue;
        }
        let path = entry.path();
        if name.starts_with("..") && entry.file_type().is_ok_and(|t| t.is_dir()) {
            fs::remove_dir_all(&path).map_err(Error::io(format!("remove {}", path.display())))?;
        } else {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
