//! Sources of mounts that must be of a certain kind: opened once, checked, and mounted by that very descriptor.

use std::ffi::CString;
use std::fs::{File, FileType};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;

use super::Error;
use super::types::{ContainerSpec, SourceKind};
use crate::sys;

fn fits(found: FileType, wanted: SourceKind) -> bool {
    match wanted {
        SourceKind::Directory => found.is_dir(),
        SourceKind::File => found.is_file(),
        SourceKind::Socket => found.is_socket(),
        SourceKind::CharDevice => found.is_char_device(),
        SourceKind::BlockDevice => found.is_block_device(),
    }
}

fn words(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Directory => "a directory",
        SourceKind::File => "a file",
        SourceKind::Socket => "a socket file",
        SourceKind::CharDevice => "a character device",
        SourceKind::BlockDevice => "a block device",
    }
}

/// Gives mounts with a kind another source, good while the returned files are open: a name, in this process's procfs, for
/// what was checked (CVE-2021-43816's class). The shim, which mounts it, sees the same procfs.
pub(super) fn pin(spec: &mut ContainerSpec) -> Result<Vec<File>, Error> {
    let mut held = Vec::new();
    for mount in &mut spec.mounts {
        let Some(kind) = mount.kind else { continue };
        let shown = mount.source.display().to_string();
        let path = CString::new(mount.source.as_os_str().as_bytes())
            .map_err(|_| Error::Invalid(format!("mount source {shown} contains a NUL byte")))?;
        let file = sys::open_path(&path, libc::O_PATH)
            .map(File::from)
            .map_err(Error::io(format!("opening mount source {shown}")))?;
        let found = file
            .metadata()
            .map_err(Error::io(format!("examining mount source {shown}")))?;
        if !fits(found.file_type(), kind) {
            return Err(Error::Invalid(format!(
                "hostPath type check failed: {shown} is not {}",
                words(kind)
            )));
        }
        mount.source = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into();
        held.push(file);
    }
    Ok(held)
}
