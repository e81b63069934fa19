//! The host's null device, which containers get for streams that nobody wants and over files that are masked. Root of a
//! container owns its inode, and could change its mode or owner for the whole machine: so a container only ever has it
//! through a read-only mount, which forbids that and nothing else.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::{self, Attributes, Errno, FileKind, SysResult};

/// Device number of `/dev/null`: character device 1:3.
const NULL_DEVICE: u64 = 0x103;

fn is_null(fd: BorrowedFd<'_>) -> bool {
    sys::stat_fd(fd).is_ok_and(|stat| stat.kind == FileKind::CharDevice(NULL_DEVICE))
}

/// `/dev/null` of this mount namespace (`O_PATH`), verified to be it. Allocates nothing.
pub(super) fn find() -> SysResult<OwnedFd> {
    let null = sys::open_path(c"/dev/null", libc::O_PATH)?;
    if is_null(null.as_fd()) {
        Ok(null)
    } else {
        Err(Errno(libc::ENODEV))
    }
}

/// A read-only mount of it, attached nowhere. Allocates nothing.
pub(super) fn read_only(null: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    let tree = sys::open_tree(null, false)?;
    let attributes = Attributes {
        set: Attributes::READ_ONLY,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), attributes, false)?;
    Ok(tree)
}

/// The null device, open for reading and writing through such a mount. Without the right to mount there is no root
/// inside who owns it, and the plain device does.
pub fn null_stream() -> SysResult<OwnedFd> {
    let null = find()?;
    let by_descriptor = |fd: &OwnedFd| {
        let path =
            CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno(libc::EINVAL))?;
        sys::open_path(&path, libc::O_RDWR)
    };
    match read_only(null.as_fd()) {
        Ok(tree) => by_descriptor(&tree),
        Err(Errno(libc::EPERM)) => by_descriptor(&null),
        Err(errno) => Err(errno),
    }
}

/// Replaces the null device among this process's standard streams, which a container is about to inherit.
pub fn replace_null_streams() -> SysResult<()> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for (target, stream) in [(0, stdin.as_fd()), (1, stdout.as_fd()), (2, stderr.as_fd())] {
        if is_null(stream) {
            sys::duplicate_to(null_stream()?.as_fd(), target)?;
        }
    }
    Ok(())
}
