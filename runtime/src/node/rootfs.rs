//! A container's root filesystem: layers stacked with overlayfs, as a mount attached nowhere.
//!
//! - [`overlay`]: the options, with their reasons, and the usual way.
//! - [`private`]: ways that need a mount namespace for a moment: kernels before 6.5, and user namespaces.

mod overlay;
mod private;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::Error;
use super::state::make_private_dir;
use crate::image::hold_layers;
use crate::launch::open_in_root;
use crate::plan::Accounts;
use crate::sys::{self, FileKind};

/// Largest account file that is read.
const MAX_ACCOUNTS: u64 = 16 << 20;

/// Ids of a container's user namespace, for the files of its image: a file that the image gives to uid 0 belongs to the
/// container's root.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdMapping<'a> {
    /// The user namespace, or one with the same maps.
    pub namespace: BorrowedFd<'a>,
    /// What its uid 0 and gid 0 are outside: the owner of the writable layer.
    pub root: (u32, u32),
}

/// Mounts `layers` (lowest first) under a writable layer in `directory`, with the ids of a user namespace if there is
/// one (Linux 5.19). Nothing shows in any mount table until the container attaches it in its own. The layers stay in
/// the image store for as long as `directory` exists.
pub(super) fn mount(
    layers: &[PathBuf],
    directory: &Path,
    mapping: Option<&IdMapping<'_>>,
) -> Result<OwnedFd, Error> {
    hold_layers(layers, directory).map_err(|error| match error {
        crate::image::Error::NotFound(what) => {
            Error::NotFound(format!("image layer {what} (the image has just been removed)"))
        }
        other => Error::Invalid(other.to_string()),
    })?;
    let (upper, work) = (directory.join("upper"), directory.join("work"));
    make_private_dir(&upper)?;
    make_private_dir(&work)?;
    // The root directory of a container is the upper directory: its mode must let other users in.
    let (uid, gid) = mapping.map_or((0, 0), |mapping| mapping.root);
    std::os::unix::fs::chown(&upper, Some(uid), Some(gid)).map_err(Error::io("owning the writable layer"))?;
    std::fs::set_permissions(&upper, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(Error::io("opening the writable layer"))?;
    let mut seen = std::collections::BTreeSet::new();
    // The topmost layer first; overlayfs refuses the same directory twice, which images with repeated layers have.
    let stack: Vec<&Path> = layers
        .iter()
        .rev()
        .map(PathBuf::as_path)
        .filter(|layer| seen.insert(*layer))
        .collect();
    if stack.is_empty() {
        return Err(Error::Invalid("the image has no layers".to_owned()));
    }
    if let Some(mapping) = mapping {
        return private::mapped(&stack, directory, mapping);
    }
    overlay::either(
        || overlay::one_by_one(&stack, &upper, &work),
        || private::joined(&stack, directory),
    )
}

/// The root filesystem's account files, read without leaving it; only regular files of sane size.
pub(super) fn accounts(rootfs: BorrowedFd<'_>) -> Result<Accounts, Error> {
    Ok(Accounts {
        passwd: read(rootfs, c"/etc/passwd")?,
        group: read(rootfs, c"/etc/group")?,
    })
}

fn read(rootfs: BorrowedFd<'_>, path: &std::ffi::CStr) -> Result<String, Error> {
    let name = path.to_string_lossy();
    // Not blocking: the image may have put a pipe there.
    let file = match open_in_root(rootfs, path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) {
        Err(sys::Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENXIO)) => return Ok(String::new()),
        other => other.map_err(Error::io(format!("opening the image's {name}")))?,
    };
    let stat = sys::stat_fd(file.as_fd()).map_err(Error::io(format!("examining the image's {name}")))?;
    if stat.kind != FileKind::Regular {
        return Err(Error::Invalid(format!(
            "the image's {name} is not a regular file"
        )));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(MAX_ACCOUNTS + 1).read_to_end(&mut bytes);
    read.map_err(Error::io(format!("reading the image's {name}")))?;
    if bytes.len() as u64 > MAX_ACCOUNTS {
        return Err(Error::Invalid(format!(
            "the image's {name} is larger than {MAX_ACCOUNTS} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
