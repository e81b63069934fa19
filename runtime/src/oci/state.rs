//! State of containers on disk: `ROOT/ID/` with
//!
//! - `lock`, on which whoever creates the container holds a record lock until it is created: `kill -9` lets go of it;
//! - `container.json`: what was asked, and everything that will have to be removed, written before any of it is made;
//! - `init`: the first process, written before that process goes on;
//! - `exec.fifo`, until it is started.
//!
//! Every file appears whole or not at all (written beside, then renamed). Nothing is flushed to disk: after a power loss
//! there is no process, mount or cgroup that it could speak of. Older and newer versions read each other's files: unknown
//! fields are ignored, missing ones have a default.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::Error;
use super::arguments::Global;
use crate::shim::launcher::{INIT, parse_init, start_time};
use crate::sys;

/// Version of `container.json` that this program writes.
const VERSION: u32 = 1;

/// `container.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stored {
    pub version: u32,
    pub id: String,
    pub bundle: PathBuf,
    pub spec: Spec,
    pub cgroup: Option<PathBuf>,
    /// The cgroup was not empty before: neither to be emptied nor to be removed by us.
    pub cgroup_shared: bool,
    /// The systemd unit that the cgroup belongs to.
    pub unit: Option<String>,
    /// That of the caller's own service manager.
    pub user_unit: bool,
    /// RFC 3339.
    pub created: String,
    /// User id of the caller.
    pub owner: u32,
}

impl Stored {
    /// Writes it.
    pub(super) fn save(&mut self, directory: &Path) -> Result<(), Error> {
        self.version = VERSION;
        let json = serde_json::to_vec(self).map_err(|e| Error::Invalid(e.to_string()))?;
        let path = directory.join("container.json");
        let beside = directory.join(".container.json");
        fs::write(&beside, json)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(Error::io(format!("writing {}", path.display())))
    }

    /// The cgroup, if it is for us to empty and to remove.
    pub(super) fn own_cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref().filter(|_| !self.cgroup_shared)
    }
}

/// Where a container is in its life (runtime-spec `runtime.md`, "State"; paused is runc's addition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container as found.
#[derive(Debug)]
pub(super) struct Container {
    pub stored: Stored,
    pub directory: PathBuf,
    pub status: Status,
    /// Process id and start time of a first process that lives.
    pub init: Option<(i32, u64)>,
}

/// Directory of a container; an id that is no plain name is refused.
pub(super) fn directory(global: &Global, id: &str) -> Result<PathBuf, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.bytes().all(plain) {
        return Err(Error::Invalid(format!("invalid container ID format: {id:?}")));
    }
    Ok(global.root.join(id))
}

/// Takes an id. The lock is held until this process ends, also when it becomes another program.
pub(super) fn claim(global: &Global, id: &str) -> Result<(PathBuf, File), Error> {
    let directory = directory(global, id)?;
    let make = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&global.root)
        .map_err(Error::io(format!("making {}", global.root.display())))?;
    match make(&directory) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::Invalid(format!(
                "container with given ID already exists: {id}"
            )));
        }
        other => other.map_err(Error::io(format!("making {}", directory.display())))?,
    }
    let path = directory.join("lock");
    let what = || format!("locking {}", path.display());
    let lock = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io(what()))?;
    sys::lock_owned(lock.as_fd()).map_err(Error::io(what()))?;
    Ok((directory, lock))
}

/// Process id of whoever creates the container at this moment.
pub(super) fn creator(directory: &Path) -> Option<i32> {
    let lock = File::options().write(true).open(directory.join("lock")).ok()?;
    sys::lock_holder(lock.as_fd()).ok()?
}

/// Whether the first process still waits to be started: then it reads from the pipe.
fn waits(directory: &Path) -> bool {
    let mut options = File::options();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    options.open(directory.join("exec.fifo")).is_ok()
}

/// Finds a container.
pub(super) fn find(global: &Global, id: &str) -> Result<Container, Error> {
    let directory = directory(global, id)?;
    let path = directory.join("container.json");
    let text = match fs::read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(Error::NotFound(id.to_owned())),
        other => other.map_err(Error::io(format!("reading {}", path.display())))?,
    };
    let stored: Stored =
        serde_json::from_slice(&text).map_err(|e| Error::Invalid(format!("{}: {e}", path.display())))?;
    let record = fs::read_to_string(directory.join(INIT))
        .ok()
        .and_then(|text| parse_init(&text));
    let init = record.filter(|(pid, started)| start_time(*pid) == Some(*started));
    let status = match (record, init) {
        (None, _) if creator(&directory).is_some() => Status::Creating,
        (_, None) => Status::Stopped,
        (_, Some(_)) if stored.cgroup.as_deref().is_some_and(crate::cgroup::is_frozen) => Status::Paused,
        (_, Some(_)) if waits(&directory) => Status::Created,
        (_, Some(_)) => Status::Running,
    };
    Ok(Container {
        stored,
        directory,
        status,
        init,
    })
}

/// Ids of all containers.
pub(super) fn ids(global: &Global) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(&global.root) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io(format!("listing {}", global.root.display())))?,
    };
    let mut ids: Vec<String> = entries
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    ids.sort();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions() {
        let newer =
            r#"{"version": 9, "id": "a", "bundle": "/b", "spec": {"ociVersion": "1.0.0", "x": 1}, "y": {}}"#;
        let stored: Stored = serde_json::from_str(newer).unwrap();
        assert_eq!((stored.id.as_str(), stored.cgroup), ("a", None));
        let older = r#"{"id": "a", "bundle": "/b", "cgroup": "/c", "created": "2026-01-01T00:00:00Z"}"#;
        let stored: Stored = serde_json::from_str(older).unwrap();
        assert_eq!(stored.own_cgroup(), Some(Path::new("/c")));
        let mut ours = Stored::default();
        let dir = tempfile::tempdir().unwrap();
        ours.save(dir.path()).unwrap();
        let text = fs::read_to_string(dir.path().join("container.json")).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["version"],
            1
        );
    }

    #[test]
    fn first_process() {
        assert_eq!(parse_init("pid 5\nstarted 7\nnewer thing\n"), Some((5, 7)));
        assert_eq!(parse_init("pid 5\n"), None);
        assert_eq!(parse_init("pid -5\nstarted 7\n"), None);
        assert_eq!(parse_init(""), None);
    }
}
