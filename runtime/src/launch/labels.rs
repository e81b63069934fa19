//! Security labels that a process execs into: an AppArmor profile or an SELinux context. Where the kernel does not have
//! the module that is asked for, nothing is started.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::error::SpawnError;
use super::plan::Process;
use super::prepare::c_string;
use crate::sys::{self, Errno, SysResult};

/// What to write, and where.
#[derive(Debug)]
pub(super) struct PreparedLabel {
    text: CString,
    apparmor: bool,
}

/// Whether the kernel enforces AppArmor profiles.
fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

/// Whether the kernel has an SELinux policy loaded.
pub(super) fn has_selinux() -> bool {
    fs::metadata("/sys/fs/selinux/enforce").is_ok()
}

pub(super) fn missing(what: &str, module: &str) -> SpawnError {
    SpawnError::new(
        format!("{what} is asked for, but {module} is not enabled in this kernel"),
        Errno(libc::EOPNOTSUPP),
    )
}

impl PreparedLabel {
    pub(super) fn new(process: &Process) -> Result<Option<Self>, SpawnError> {
        let apparmor = process.apparmor.as_deref();
        let selinux = process.selinux.as_deref();
        if let Some(profile) = apparmor.filter(|_| !has_apparmor()) {
            return Err(missing(&format!("AppArmor profile {profile:?}"), "AppArmor"));
        }
        if let Some(label) = selinux.filter(|_| !has_selinux()) {
            return Err(missing(&format!("SELinux label {label:?}"), "SELinux"));
        }
        Ok(match (apparmor, selinux) {
            (Some(profile), _) => Some(Self {
                text: c_string(&format!("exec {profile}"))?,
                apparmor: true,
            }),
            (None, Some(label)) => Some(Self {
                text: c_string(label)?,
                apparmor: false,
            }),
            (None, None) => None,
        })
    }

    /// Opens where it will be written, on a procfs that the caller trusts. The kernel lets only the process itself write.
    pub(super) fn open(&self, root: BorrowedFd<'_>) -> SysResult<OwnedFd> {
        let open = |path: &CStr| sys::open_at(root, path, libc::O_WRONLY, 0);
        if self.apparmor {
            match open(c"proc/self/attr/apparmor/exec") {
                Err(Errno(libc::ENOENT)) => {}
                other => return other,
            }
        }
        open(c"proc/self/attr/exec")
    }

    /// Makes the next exec take the label.
    pub(super) fn write(&self, file: BorrowedFd<'_>) -> SysResult<()> {
        sys::write_fd(file, self.text.to_bytes()).map(|_| ())
    }
}

/// Checks that file contexts can be had, which the mounts of a plan may ask for.
pub(super) fn check_contexts(asked: bool) -> Result<(), SpawnError> {
    if asked && !has_selinux() {
        return Err(missing("mountLabel", "SELinux"));
    }
    Ok(())
}
