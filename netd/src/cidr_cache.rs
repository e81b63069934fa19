//! The pod ranges that the Node object gave last, on disk, so that netd starts without the API server.

use std::path::{Path, PathBuf};

use tracing::warn;

use crate::cidr::Cidr;
use crate::ipam;

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("pod-cidrs.json")
}

/// The remembered ranges; none when there are none, or the file is damaged.
pub(crate) fn load(state_dir: &Path) -> Vec<Cidr> {
    let Ok(text) = std::fs::read(path(state_dir)) else {
        return Vec::new();
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        warn!(%error, "remembered pod CIDRs are damaged");
        Vec::new()
    })
}

/// Remembers `cidrs`.
pub(crate) fn save(state_dir: &Path, cidrs: &[Cidr]) -> Result<(), ipam::Error> {
    let path = path(state_dir);
    let text = serde_json::to_vec(cidrs).map_err(|e| ipam::Error::File {
        what: "encode",
        path: path.clone(),
        source: e.into(),
    })?;
    ipam::replace(&path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_tolerates_damage() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).is_empty());
        let cidrs = vec!["10.42.1.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
        save(dir.path(), &cidrs).unwrap();
        assert_eq!(load(dir.path()), cidrs);
        std::fs::write(path(dir.path()), b"[\"10.42.1.0/99\"]").unwrap();
        assert!(load(dir.path()).is_empty());
    }
}
