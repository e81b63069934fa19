//! State of containers on disk: `ROOT/ID/` with `container.json` (what was asked), `init` (the first process) and, until
//! it is started, `exec.fifo`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{ContainerState, Spec};
use serde::{Deserialize, Serialize};

use super::Error;
use super::arguments::Global;
use crate::shim::launcher::start_time;
use crate::shim::protocol::RunningRecord;
use crate::wire::Wire;

/// `container.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub id: String,
    pub bundle: PathBuf,
    pub spec: Spec,
    pub cgroup: Option<PathBuf>,
    /// RFC 3339.
    pub created: String,
}

/// A container as found.
#[derive(Debug)]
pub(super) struct Container {
    pub stored: Stored,
    pub directory: PathBuf,
    pub status: ContainerState,
    /// Process id and start time of a first process that lives.
    pub init: Option<(i32, u64)>,
}

/// Directory of a container; an id that is no plain name is refused.
pub(super) fn directory(global: &Global, id: &str) -> Result<PathBuf, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+-.@".contains(&b);
    if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.bytes().all(plain) {
        return Err(Error::Invalid(format!("invalid container id {id:?}")));
    }
    Ok(global.root.join(id))
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
    let record = fs::read(directory.join("init"))
        .ok()
        .and_then(|bytes| RunningRecord::from_bytes(&bytes).ok());
    let init = record
        .filter(|r| start_time(r.pid) == Some(r.started_at))
        .map(|r| (r.pid, r.started_at));
    let status = match (record_exists(&directory), &init) {
        (false, _) => ContainerState::Creating,
        (true, None) => ContainerState::Stopped,
        (true, Some(_)) if directory.join("exec.fifo").exists() => ContainerState::Created,
        (true, Some(_)) => ContainerState::Running,
    };
    Ok(Container {
        stored,
        directory,
        status,
        init,
    })
}

fn record_exists(directory: &Path) -> bool {
    directory.join("init").exists()
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
