//! Opening what a bind mount shows: on the host, before the clone, by descriptor.

use std::os::fd::{AsFd, OwnedFd};

use super::confined::ensure_below;
use super::error::SpawnError;
use super::plan::TargetKind;
use super::prepare::c_string;
use crate::sys::{self, FileKind};

/// A detached copy of the mount at `path` (or at `sub_path` below it), and the kind of target it needs. The path is the
/// operator's: its symlinks are followed. `sub_path` is the tenant's: it may not leave `path`.
pub(super) fn open_bind(
    path: &str,
    sub_path: Option<&str>,
    recursive: bool,
) -> Result<(OwnedFd, TargetKind), SpawnError> {
    let failed = |what: String| move |errno| SpawnError::new(what, errno);
    let mut source = sys::open_path(&c_string(path)?, libc::O_PATH)
        .map_err(failed(format!("opening mount source {path}")))?;
    if let Some(sub) = sub_path.filter(|sub| !sub.is_empty() && *sub != ".") {
        let c_sub = c_string(sub)?;
        source = ensure_below(source.as_fd(), &c_sub)
            .map_err(failed(format!("opening subPath {sub:?} below {path}")))?;
    }
    let stat = sys::stat_fd(source.as_fd()).map_err(failed(format!("examining mount source {path}")))?;
    let kind = if stat.kind == FileKind::Directory {
        TargetKind::Directory
    } else {
        TargetKind::File
    };
    let tree =
        sys::open_tree(source.as_fd(), recursive).map_err(failed(format!("cloning mount source {path}")))?;
    Ok((tree, kind))
}
