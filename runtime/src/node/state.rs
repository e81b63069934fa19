//! Reading and writing what is known of sandboxes and containers.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ContainerSpec, Error, Phase, SandboxId};
use crate::shim::protocol::{ExitRecord, RunningRecord};
use crate::wire::Wire;

/// File `container.json`: what was asked for, and what was found out at creation. The phase is not in it: that is
/// derived from the shim's records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredContainer {
    pub spec: ContainerSpec,
    pub sandbox: SandboxId,
    pub created_at: SystemTime,
    pub user: Option<(u32, u32, Vec<u32>)>,
    pub cgroup: Option<String>,
}

/// Makes a directory and its parents, for root only.
pub(super) fn make_private_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io(format!("making directory {}", path.display())))
}

/// Writes a file so that a reader, or a reader after a crash of this process, sees all of it or the old one. Nothing is
/// flushed to the disk, which would take longer than all the rest of a container's start: after a power failure nothing
/// runs that the file could speak of, and [`sweep_torn`] removes what has lost its record.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension(format!("new{}", std::process::id()));
    let write = || {
        use std::io::Write;
        let mut file = fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        Error::Io {
            what: format!("writing {}", path.display()),
            source,
        }
    })
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::Invalid(format!("{}: {e}", path.display())))?;
    write_whole(path, &bytes)
}

/// Removes each directory below `parent` whose `record` a power failure has cut short. One that is whole JSON stays, even
/// if this version cannot make sense of it.
pub(super) fn sweep_torn(parent: &Path, record: &str) -> Result<(), Error> {
    for name in names(parent)? {
        let directory = parent.join(name);
        let torn = read(&directory.join(record))?
            .is_some_and(|bytes| serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err());
        if torn {
            let shown = directory.display();
            tracing::warn!(directory = %shown, "a record was cut short, by a power failure most likely: it is removed");
            remove(&directory)?;
        }
    }
    Ok(())
}

/// A file's bytes, or `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(Error::Io {
            what: format!("reading {}", path.display()),
            source,
        }),
    }
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::Io {
        what: format!("reading {}", path.display()),
        source: e.into(),
    })
}

pub(super) fn read_wire<T: Wire>(path: &Path) -> Result<Option<T>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    T::from_bytes(&bytes).map(Some).map_err(|e| Error::Io {
        what: format!("reading {}", path.display()),
        source: std::io::Error::new(ErrorKind::InvalidData, e),
    })
}

/// Removes a file or a directory with all that is in it; absent is fine.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io(format!("removing {}", path.display()))),
    }
}

/// Names in a directory, hidden ones (unfinished work) left out; an absent directory has none.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io(format!("listing {}", directory.display())))?,
    };
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}

pub(super) fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// Where a container is in its life, by the records: an exit record is final; without one, what the running record says
/// holds only while the shim lives.
pub(super) fn phase(exit: Option<&ExitRecord>, running: Option<&RunningRecord>, shim_lives: bool) -> Phase {
    match (exit, running) {
        (Some(exit), _) => Phase::Exited {
            exit_code: exit.code,
            signal: exit.signal,
            finished_at: time(exit.finished_at),
            oom_killed: exit.oom_killed,
        },
        (None, Some(running)) if shim_lives => match running.started_at {
            0 => Phase::Created,
            _ => Phase::Running,
        },
        _ => Phase::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_cut_short_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let records = [
            ("whole", Some(r#"{"spec": {"a": [1, 2]}}"#)),
            ("newer", Some(r#""of another shape""#)),
            ("empty", Some("")),
            ("short", Some(r#"{"spec": {"a": [1"#)),
            ("none", None),
            (".unfinished", Some("")),
        ];
        for (name, record) in records {
            fs::create_dir_all(directory.path().join(name).join("upper")).unwrap();
            if let Some(record) = record {
                fs::write(directory.path().join(name).join("record"), record).unwrap();
            }
        }
        sweep_torn(directory.path(), "record").unwrap();
        let left = |name: &str| directory.path().join(name).exists();
        assert_eq!(
            ["whole", "newer", "empty", "short", "none", ".unfinished"].map(left),
            [true, true, false, false, true, true]
        );
        sweep_torn(&directory.path().join("absent"), "record").unwrap();
    }
}
