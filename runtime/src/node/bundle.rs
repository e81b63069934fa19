//! OCI bundle directories as images (`oci-bundle://`).

use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::Error;
use crate::plan::BundleProcess;

/// What a pod takes from a bundle.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    /// The root filesystem directory.
    pub rootfs: PathBuf,
    pub process: BundleProcess,
    /// `uid:gid` and supplementary groups.
    pub user: Option<(u32, u32, Vec<u32>)>,
}

/// Largest `config.json` that is read.
const MAX_CONFIG: u64 = 4 << 20;

/// Reads `config.json` (OCI runtime specification, `config.md`).
pub(super) fn read(directory: &Path) -> Result<Bundle, Error> {
    let path = directory.join("config.json");
    let shown = path.display();
    let size = std::fs::metadata(&path)
        .map_err(Error::io(format!("reading {shown}")))?
        .len();
    if size > MAX_CONFIG {
        return Err(Error::Invalid(format!(
            "{shown} is larger than {MAX_CONFIG} bytes"
        )));
    }
    let text = std::fs::read(&path).map_err(Error::io(format!("reading {shown}")))?;
    let spec: Spec = serde_json::from_slice(&text).map_err(|e| Error::Invalid(format!("{shown}: {e}")))?;
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| Error::Invalid(format!("{shown} has no root")))?;
    let process = spec.process().as_ref();
    Ok(Bundle {
        rootfs: directory.join(root.path()),
        process: BundleProcess {
            args: process.and_then(|p| p.args().clone()).unwrap_or_default(),
            env: process.and_then(|p| p.env().clone()).unwrap_or_default(),
            cwd: process
                .map(|p| p.cwd().to_string_lossy().into_owned())
                .unwrap_or_default(),
        },
        user: process.map(|p| {
            let user = p.user();
            (
                user.uid(),
                user.gid(),
                user.additional_gids().clone().unwrap_or_default(),
            )
        }),
    })
}
