//! The mount namespace that containers are cloned from. The kernel copies every mount of the namespace for each container,
//! and a node has two for each pod: so containers come from one that has only what a launch needs. All pods of a node
//! share it; the first to come makes it.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::sys::{self, CloneRequest, Errno, SysResult};

/// Whether a launch needs a mount: the root, and the kernel's own views with what is below them.
fn is_needed(path: &[u8]) -> bool {
    let below = |top: &[u8]| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    path == b"/" || [&b"/proc"[..], b"/sys", b"/dev"].into_iter().any(below)
}

/// Mount points by the lines of `/proc/self/mountinfo` (field 5), where blanks and the like are in octal.
fn mount_points(mountinfo: &str) -> Vec<Vec<u8>> {
    let field = |line: &str| line.split(' ').nth(4).map(unescape);
    mountinfo.lines().filter_map(field).collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\')
            .then(|| text.get(at + 1..at + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(octal.unwrap_or(bytes[at]));
        at += if octal.is_some() { 4 } else { 1 };
    }
    out
}

/// Lets go of all other mounts of this namespace.
fn strip() -> SysResult<()> {
    sys::make_tree_private()?;
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    // Those above come first, and take those below with them.
    for path in mount_points(&text).into_iter().filter(|path| !is_needed(path)) {
        if let Ok(path) = CString::new(path) {
            let _ = sys::unmount(&path);
        }
    }
    Ok(())
}

/// `NSFS_MAGIC`.
const NSFS: i64 = 0x6e73_6673;

/// Opens the namespace that is pinned in a directory (on a private mount), or makes and pins one. Two that do this at once
/// pin one over the other, and each has one.
pub(super) fn open(directory: &Path) -> Result<OwnedFd, String> {
    let path = directory.join(".stage");
    let failed = |e: Errno| format!("the containers' mount namespace {}: {e}", path.display());
    let known = File::open(&path).map(OwnedFd::from).ok();
    if let Some(known) = known.filter(|file| sys::fs_type(file.as_fd()) == Ok(NSFS)) {
        return Ok(known);
    }
    let made = make().map_err(failed)?;
    let target = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let target = target.map_err(|e| failed(e.into()))?;
    let tree = sys::open_tree(made.as_fd(), false).map_err(failed)?;
    sys::move_mount(tree.as_fd(), target.as_fd()).map_err(failed)?;
    Ok(made)
}

/// Makes it. The shim has one thread, so that its copy may allocate.
fn make() -> SysResult<OwnedFd> {
    let (outcome, tell) = sys::pipe()?;
    let (until, release) = sys::pipe()?;
    let request = CloneRequest {
        namespaces: libc::CLONE_NEWNS as u64,
        ..CloneRequest::default()
    };
    let child = sys::clone_process(&request, || {
        sys::close_in_child(release.as_fd());
        if strip().is_ok() {
            let _ = sys::write_fd(tell.as_fd(), b"x");
        }
        sys::close_in_child(tell.as_fd());
        let _ = sys::read_fd(until.as_fd(), &mut [0]);
    })?;
    drop(tell);
    let made = match sys::read_fd(outcome.as_fd(), &mut [0])? {
        0 => Err(Errno(libc::ECHILD)),
        _ => fs::File::open(format!("/proc/{}/ns/mnt", child.pid))
            .map(OwnedFd::from)
            .map_err(Errno::from),
    };
    drop(release);
    let _ = sys::wait_pidfd(child.pidfd.as_fd());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed() {
        for path in [
            "/",
            "/proc",
            "/sys",
            "/sys/fs/cgroup",
            "/dev/pts",
            "/proc/sys/fs/binfmt_misc",
        ] {
            assert!(is_needed(path.as_bytes()), "{path}");
        }
        for path in [
            "/run",
            "/system",
            "/devices",
            "/run/keelson/pods/x/net",
            "/home/sys",
            "",
        ] {
            assert!(!is_needed(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn names_with_blanks() {
        let text = "31 23 0:28 / /a\\040b\\134c rw - tmpfs tmpfs rw\ngarbage\n32 23 0:28 / /x\\9 rw - tmpfs tmpfs rw\n";
        assert_eq!(mount_points(text), [b"/a b\\c".to_vec(), b"/x\\9".to_vec()]);
    }
}
