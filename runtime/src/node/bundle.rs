//! OCI bundle directories as images (`oci-bundle://`).

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::Error;
use crate::plan::BundleProcess;
use crate::sys::{self, FileKind};

/// What a pod takes from a bundle.
#[derive(Debug)]
pub(super) struct Bundle {
    /// The root filesystem directory: a name for `_opened`, good in this process while this lives.
    pub rootfs: PathBuf,
    _opened: OwnedFd,
    pub process: BundleProcess,
    /// `uid:gid` and supplementary groups.
    pub user: Option<(u32, u32, Vec<u32>)>,
}

/// Largest `config.json` that is read.
const MAX_CONFIG: u64 = 4 << 20;

/// Opens what a bundle has under this name. A pod may name any bundle, so a bundle is no more trusted than an image: a
/// root or a configuration that is a symlink, or lies outside, would show the host's files.
fn open(bundle: BorrowedFd<'_>, path: &Path, flags: i32) -> Result<OwnedFd, Error> {
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::Invalid("a path with a NUL byte in a bundle".to_owned()))?;
    sys::open_at2(bundle, &name, flags, resolve)
        .map_err(Error::io(format!("opening {} of a bundle", path.display())))
}

/// Reads `config.json` (OCI runtime specification, `config.md`).
pub(super) fn read(directory: &Path) -> Result<Bundle, Error> {
    let path = directory.join("config.json");
    let shown = path.display();
    let bundle = File::open(directory).map_err(Error::io(format!("opening {}", directory.display())))?;
    // Not blocking: it may be a pipe.
    let file = open(
        bundle.as_fd(),
        Path::new("config.json"),
        libc::O_RDONLY | libc::O_NONBLOCK,
    )?;
    let stat = sys::stat_fd(file.as_fd()).map_err(Error::io(format!("examining {shown}")))?;
    if stat.kind != FileKind::Regular {
        return Err(Error::Invalid(format!("{shown} is not a regular file")));
    }
    let mut text = Vec::new();
    let taken = File::from(file).take(MAX_CONFIG + 1).read_to_end(&mut text);
    taken.map_err(Error::io(format!("reading {shown}")))?;
    if text.len() as u64 > MAX_CONFIG {
        return Err(Error::Invalid(format!(
            "{shown} is larger than {MAX_CONFIG} bytes"
        )));
    }
    let spec: Spec = serde_json::from_slice(&text).map_err(|e| Error::Invalid(format!("{shown}: {e}")))?;
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| Error::Invalid(format!("{shown} has no root")))?;
    let process = spec.process().as_ref();
    let opened = open(bundle.as_fd(), root.path(), libc::O_PATH | libc::O_DIRECTORY)?;
    Ok(Bundle {
        rootfs: format!("/proc/self/fd/{}", opened.as_raw_fd()).into(),
        _opened: opened,
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
