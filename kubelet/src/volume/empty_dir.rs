//! `emptyDir`: a directory, or a tmpfs with `medium: Memory`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;

use super::{Error, dirs, ownership};
use crate::spec::quantity;

/// Makes it, open to all users of the pod. The size limit binds a tmpfs; a directory's is recorded in the pod only.
pub(super) fn mount(path: &Path, source: &EmptyDirVolumeSource, fs_group: Option<u32>) -> Result<(), Error> {
    match source.medium.as_deref() {
        Some("Memory") => {
            let limit = source
                .size_limit
                .as_ref()
                .and_then(quantity::value)
                .filter(|bytes| *bytes > 0);
            dirs::mount_tmpfs(path, limit.and_then(|bytes| u64::try_from(bytes).ok()))?;
        }
        None | Some("") => dirs::create_private(path)?,
        Some(_) => return Err(Error::Unsupported("emptyDir with this medium")),
    }
    let mode = if fs_group.is_some() { 0o2777 } else { 0o777 };
    if let Some(gid) = fs_group {
        ownership::chown(path, None, Some(gid))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(Error::io(format!("chmod {}", path.display())))
}
