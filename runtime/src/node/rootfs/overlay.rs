//! overlayfs and its options.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::node::Error;
use crate::sys::{self, Attributes, MountFs};

/// Options of every root filesystem (kernel: Documentation/filesystems/overlayfs.rst), said outright because their
/// defaults are a matter of how a kernel was built:
///
/// - `redirect_dir=on`: without it, renaming a directory of the image fails with EXDEV (package managers do that). Made
///   by hand, `trusted.overlay.redirect` could lead a lookup astray; the store drops every such attribute of a layer,
///   and a container cannot set one through the mount.
/// - `metacopy=on`: `chown -R` and `chmod` of image files copy their metadata, not their contents. It relies on lower
///   layers that do not change, which is what the store's are; and on `redirect_dir`.
/// - `index=off`: it would keep the hard links of lower files together after they are written to, for the price of an
///   index entry each and of EBUSY and ESTALE from writable layers that were mounted before. Other engines have it off,
///   too.
/// - `xino=auto`: inode numbers stay unique when image store and writable layer are on different filesystems; without
///   effect, and cost, on one. Where there are no spare bits, it gives up by itself (`on` would only warn).
/// - `volatile` (5.10): nothing of the writable layer is synchronized, `fsync` costs nothing. It does not outlive a crash
///   of the machine anyway: the container is then made anew.
///
/// Not `userxattr`: it is for mounts that a user namespace makes, which may not read `trusted.` attributes. Here root of
/// the machine's own namespace mounts, also for containers in user namespaces (see [`super::private::mapped`]), and
/// `trusted.overlay.*` is out of every container's reach. Not `nfs_export` (excludes `metacopy`) nor `verity`.
const OPTIONS: [(&CStr, Option<&CStr>); 5] = [
    (c"redirect_dir", Some(c"on")),
    (c"metacopy", Some(c"on")),
    (c"index", Some(c"off")),
    (c"xino", Some(c"auto")),
    (c"volatile", None),
];

/// Longest value that fsconfig(2) takes.
const VALUE_LIMIT: usize = 255;
/// What mount(2) takes as options: a page, its terminating NUL included.
const PAGE: usize = 4096;

pub(super) fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::Invalid(format!("path {} contains a NUL byte", path.display())))
}

/// Opens a directory that is to be a layer.
pub(super) fn open(layer: &Path) -> Result<OwnedFd, Error> {
    sys::open_path(&c_path(layer)?, libc::O_PATH | libc::O_DIRECTORY)
        .map_err(Error::io(format!("opening layer {}", layer.display())))
}

/// A short name of an open directory.
pub(super) fn name(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// Whether this kernel was seen to take layers only in one option. Asking again each time would fill its log.
static ONLY_JOINED: AtomicBool = AtomicBool::new(false);

/// Mounts with an option for each layer, or with all layers in one where the kernel (before 6.5) knows only that.
pub(super) fn either(
    one_by_one: impl FnOnce() -> Result<OwnedFd, Error>,
    joined: impl FnOnce() -> Result<OwnedFd, Error>,
) -> Result<OwnedFd, Error> {
    if ONLY_JOINED.load(Ordering::Relaxed) {
        return joined();
    }
    match one_by_one() {
        Err(Error::Io { ref source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
            // It may as well be something else that is invalid: then this fails, too.
            joined().inspect(|_| ONLY_JOINED.store(true, Ordering::Relaxed))
        }
        other => other,
    }
}

/// Mounts with an option `lowerdir+` for each layer, highest first (Linux 6.5).
pub(super) fn one_by_one(stack: &[&Path], upper: &Path, work: &Path) -> Result<OwnedFd, Error> {
    let fs = MountFs::open(c"overlay").map_err(Error::io("opening an overlay filesystem"))?;
    let detail = || fs.message().map(|m| format!(" ({m})")).unwrap_or_default();
    let mut held = Vec::new();
    let mut set = |key: &CStr, path: &Path| {
        // By its path, which shows in the container's mount table, unless that is too long.
        let value = if path.as_os_str().len() <= VALUE_LIMIT {
            c_path(path)?
        } else {
            let opened = open(path)?;
            let value = c_path(&name(&opened))?;
            held.push(opened);
            value
        };
        fs.set(key, Some(&value))
            .map_err(|e| Error::io(format!("overlay layer {}{}", path.display(), detail()))(e))
    };
    for layer in stack {
        set(c"lowerdir+", layer)?;
    }
    set(c"upperdir", upper)?;
    set(c"workdir", work)?;
    for (key, value) in OPTIONS {
        fs.set(key, value)
            .map_err(|e| Error::io(format!("overlay option {}{}", key.to_string_lossy(), detail()))(e))?;
    }
    let mounted = fs
        .mount(Attributes::default())
        .map_err(|e| Error::io(format!("mounting the root filesystem{}", detail()))(e));
    drop(held); // overlayfs has its own references from here on
    mounted
}

/// The options of mount(2) for layers by short names, highest first. Descriptors stand for the paths, so that 127 layers
/// fit into a page, and nothing has to be escaped.
pub(super) fn joined(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<CString, Error> {
    let lowers: Vec<_> = lowers.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!(
        "lowerdir={},upperdir={},workdir={}",
        lowers.join(":"),
        upper.display(),
        work.display()
    );
    for (key, value) in OPTIONS {
        text.push(',');
        text.push_str(&key.to_string_lossy());
        if let Some(value) = value {
            text.push('=');
            text.push_str(&value.to_string_lossy());
        }
    }
    if text.len() >= PAGE {
        return Err(Error::Invalid(format!(
            "{} layers are too many for this kernel (Linux 6.5 takes more)",
            lowers.len()
        )));
    }
    CString::new(text).map_err(|_| Error::Invalid("a path contains a NUL byte".to_owned()))
}
