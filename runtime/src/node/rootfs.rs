//! A container's root filesystem: layers stacked with overlayfs, as a mount attached nowhere.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::state::make_private_dir;
use crate::launch::open_in_root;
use crate::plan::Accounts;
use crate::sys::{self, Attributes, FileKind, MountFs};

/// Largest account file that is read.
const MAX_ACCOUNTS: u64 = 16 << 20;

fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::Invalid(format!("path {} contains a NUL byte", path.display())))
}

/// Mounts `layers` (lowest first) under a writable layer in `directory`. Nothing shows in any mount table until the
/// container attaches it in its own.
pub(super) fn mount(layers: &[PathBuf], directory: &Path) -> Result<OwnedFd, Error> {
    let (upper, work) = (directory.join("upper"), directory.join("work"));
    make_private_dir(&upper)?;
    make_private_dir(&work)?;
    // The root directory of a container is the upper directory: its mode must let other users in.
    std::os::unix::fs::chown(&upper, Some(0), Some(0)).map_err(Error::io("owning the writable layer"))?;
    std::fs::set_permissions(&upper, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(Error::io("opening the writable layer"))?;
    let mut seen = std::collections::BTreeSet::new();
    // The topmost layer first; overlayfs refuses the same directory twice, which images with repeated layers have.
    let stack: Vec<&PathBuf> = layers
        .iter()
        .rev()
        .filter(|layer| seen.insert(layer.as_path()))
        .collect();
    if stack.is_empty() {
        return Err(Error::Invalid("the image has no layers".to_owned()));
    }
    let fs = MountFs::open(c"overlay").map_err(Error::io("opening an overlay filesystem"))?;
    let set = |key: &std::ffi::CStr, path: &Path| {
        let value = c_path(path)?;
        fs.set(key, Some(&value)).map_err(|e| {
            let detail = fs.message().map(|m| format!(" ({m})")).unwrap_or_default();
            Error::io(format!("overlay layer {}{detail}", path.display()))(e)
        })
    };
    for layer in stack {
        set(c"lowerdir+", layer)?;
    }
    set(c"upperdir", &upper)?;
    set(c"workdir", &work)?;
    // The writable layer does not outlive a crash of the machine: no syncing of it (overlayfs.rst, volatile mounts).
    let _ = fs.set(c"volatile", None);
    fs.mount(Attributes::default()).map_err(|e| {
        let detail = fs.message().map(|m| format!(" ({m})")).unwrap_or_default();
        Error::io(format!("mounting the root filesystem{detail}"))(e)
    })
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
