//! A container's root filesystem: layers stacked with overlayfs, as a mount attached nowhere.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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
    let mounted = overlay(&stack, &upper, &work, Layers::OneByOne);
    match mounted {
        // Before Linux 6.5 overlayfs takes its layers only in one option.
        Err(Error::Io { ref source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
            overlay(&stack, &upper, &work, Layers::Joined).or(mounted)
        }
        other => other,
    }
}

/// How overlayfs is told its lower layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layers {
    /// `lowerdir+`, once for each (Linux 6.5).
    OneByOne,
    /// `lowerdir`, separated by colons. fsconfig(2) takes 255 bytes, so descriptors stand for the paths: 14 layers.
    Joined,
}

fn overlay(stack: &[&PathBuf], upper: &Path, work: &Path, style: Layers) -> Result<OwnedFd, Error> {
    let fs = MountFs::open(c"overlay").map_err(Error::io("opening an overlay filesystem"))?;
    let set = |key: &std::ffi::CStr, path: &Path| {
        let value = c_path(path)?;
        fs.set(key, Some(&value)).map_err(|e| {
            let detail = fs.message().map(|m| format!(" ({m})")).unwrap_or_default();
            Error::io(format!("overlay layer {}{detail}", path.display()))(e)
        })
    };
    let mut held = Vec::new();
    if style == Layers::OneByOne {
        for layer in stack {
            set(c"lowerdir+", layer)?;
        }
    } else {
        for layer in stack {
            let opened = sys::open_path(&c_path(layer)?, libc::O_PATH | libc::O_DIRECTORY)
                .map_err(Error::io(format!("opening layer {}", layer.display())))?;
            held.push(opened);
        }
        let names: Vec<_> = held
            .iter()
            .map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .collect();
        set(c"lowerdir", Path::new(&names.join(":")))?;
    }
    set(c"upperdir", upper)?;
    set(c"workdir", work)?;
    // The writable layer does not outlive a crash of the machine: no syncing of it (overlayfs.rst, volatile mounts).
    let _ = fs.set(c"volatile", None);
    let mounted = fs.mount(Attributes::default()).map_err(|e| {
        let detail = fs.message().map(|m| format!(" ({m})")).unwrap_or_default();
        Error::io(format!("mounting the root filesystem{detail}"))(e)
    });
    drop(held); // overlayfs has its own references from here on
    mounted
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
mod joined {
    use super::*;

    #[test]
    fn layers_in_one_option_stack_as_they_do_one_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let layer = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("both"), text).unwrap();
            std::fs::write(path.join(name), text).unwrap();
            path
        };
        let (lower, higher) = (layer("lower", "1"), layer("higher", "2"));
        for style in [Layers::OneByOne, Layers::Joined] {
            let writable = directory.path().join(format!("{style:?}"));
            let (upper, work) = (writable.join("upper"), writable.join("work"));
            std::fs::create_dir_all(&upper).unwrap();
            std::fs::create_dir_all(&work).unwrap();
            let root = overlay(&[&higher, &lower], &upper, &work, style).unwrap();
            let file = |name: &str| {
                std::fs::read_to_string(format!("/proc/self/fd/{}/{name}", root.as_raw_fd())).unwrap()
            };
            assert_eq!(
                (file("both"), file("lower"), file("higher")),
                ("2".into(), "1".into(), "2".into())
            );
        }
    }
}
