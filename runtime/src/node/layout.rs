//! Where the runtime keeps what.
//!
//! Under the persistent root: `sandboxes/ID/` (specification, `/etc/hostname`), `containers/ID/` (specification, plan,
//! writable layer). Under the run directory: `pods/` (a private tmpfs) with `ID/` (pinned namespaces, `/dev/shm`, the
//! shim's socket and lock), `running/ID` and `exits/ID` (the shim's records), `locks/ID`.

use std::path::{Path, PathBuf};

use super::{Error, NodeConfig};

/// Paths of one runtime.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub root: PathBuf,
    pub run: PathBuf,
}

/// An id names files: it may hold only characters that cannot lead elsewhere.
pub(super) fn check_id(id: &str) -> Result<&str, Error> {
    let plain = id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
    if id.is_empty() || id.len() > 128 || id.starts_with('.') || !plain {
        return Err(Error::Invalid(format!("{id:?} is not a valid id")));
    }
    Ok(id)
}

impl Layout {
    pub(super) fn new(config: &NodeConfig) -> Self {
        Self {
            root: config.root.clone(),
            run: config.run_dir.clone(),
        }
    }

    pub(super) fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    pub(super) fn sandbox(&self, id: &str) -> PathBuf {
        self.sandboxes().join(id)
    }

    pub(super) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(super) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// The private tmpfs with one directory per pod.
    pub(super) fn pods(&self) -> PathBuf {
        self.run.join("pods")
    }

    pub(super) fn pod(&self, id: &str) -> PathBuf {
        self.pods().join(id)
    }

    pub(super) fn running(&self) -> PathBuf {
        self.run.join("running")
    }

    pub(super) fn exits(&self) -> PathBuf {
        self.run.join("exits")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.run.join("locks")
    }
}

/// A path as the text that plans carry.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Invalid(format!("path {} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::check_id;

    #[test]
    fn ids() {
        for good in ["a", "3f2a-b_c.d", &"f".repeat(64)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "ä", "a\0", &"f".repeat(129)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
