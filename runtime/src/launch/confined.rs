//! Finding and making paths inside a container's root, without ever leaving it: every lookup is the kernel's own
//! `RESOLVE_IN_ROOT`, so no symlink that an image or a racing neighbour plants can point outside.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::plan::TargetKind;
use crate::sys::{self, Errno, SysResult};

/// `RESOLVE_NO_MAGICLINKS`: no `/proc/PID/fd`-like links.
const NO_MAGIC: u64 = 0x2;
/// `RESOLVE_NO_SYMLINKS`.
const NO_SYMLINKS: u64 = 0x4;
/// `RESOLVE_BENEATH`.
const BENEATH: u64 = 0x8;
/// `RESOLVE_IN_ROOT`.
const IN_ROOT: u64 = 0x10;

/// Opens a path as a process whose root directory is `root` would see it.
pub fn open_in_root(root: BorrowedFd<'_>, path: &CStr, flags: i32) -> SysResult<OwnedFd> {
    sys::open_at2(root, path, flags, IN_ROOT | NO_MAGIC)
}

/// As [`open_in_root`], and refuses any symlink on the way.
pub(super) fn open_plain(root: BorrowedFd<'_>, path: &CStr, flags: i32) -> SysResult<OwnedFd> {
    sys::open_at2(root, path, flags, IN_ROOT | NO_MAGIC | NO_SYMLINKS)
}

/// Longest path that is made, with its NUL (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Dangling symlinks followed while making one path (as many as the kernel follows).
const MAX_LINKS: usize = 40;

/// A path in a buffer on the stack.
struct PathBuffer {
    bytes: [u8; MAX_PATH],
    length: usize,
}

impl PathBuffer {
    fn new(parts: &[&[u8]]) -> SysResult<Self> {
        let mut buffer = Self {
            bytes: [0; MAX_PATH],
            length: 0,
        };
        for part in parts {
            let end = buffer.length + part.len();
            if end >= MAX_PATH {
                return Err(Errno(libc::ENAMETOOLONG));
            }
            buffer.bytes[buffer.length..end].copy_from_slice(part);
            buffer.length = end;
        }
        Ok(buffer)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn as_c(&self) -> SysResult<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno(libc::EINVAL))
    }
}

/// The next component from `from` on: its start and end.
fn component(path: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + path[from..].iter().position(|b| *b != b'/')?;
    let end = path[start..]
        .iter()
        .position(|b| *b == b'/')
        .map_or(path.len(), |n| start + n);
    Some((start, end))
}

/// Outcome of one walk along a path.
#[allow(clippy::large_enum_variant)] // lives on the stack for a moment; boxing would allocate
enum Walk {
    Found(OwnedFd),
    /// A dangling symlink was met: go on with this path.
    Follow(PathBuffer),
}

/// Opens (`O_PATH`) a path inside `root`, making what is missing: directories (0755) and, for a file target, an empty
/// file. Dangling symlinks are followed inside the root, as container runtimes do for images whose `/etc/resolv.conf`
/// is one. Allocates nothing.
pub(super) fn ensure_in_root(root: BorrowedFd<'_>, path: &CStr, kind: TargetKind) -> SysResult<OwnedFd> {
    match open_in_root(root, path, libc::O_PATH) {
        Err(Errno(libc::ENOENT)) => {}
        other => return other,
    }
    let mut path = PathBuffer::new(&[path.to_bytes()])?;
    for _ in 0..MAX_LINKS {
        match walk(root, &path, kind)? {
            Walk::Found(fd) => return Ok(fd),
            Walk::Follow(next) => path = next,
        }
    }
    Err(Errno(libc::ELOOP))
}

fn walk(root: BorrowedFd<'_>, path: &PathBuffer, kind: TargetKind) -> SysResult<Walk> {
    let bytes = path.as_bytes();
    let mut parent = open_in_root(root, c".", libc::O_PATH)?;
    let mut at = 0;
    while let Some((start, end)) = component(bytes, at) {
        let last = component(bytes, end).is_none();
        let prefix = PathBuffer::new(&[&bytes[..end]])?;
        let next = match open_in_root(root, prefix.as_c()?, libc::O_PATH) {
            Ok(fd) => fd,
            Err(Errno(libc::ENOENT)) => {
                let name = PathBuffer::new(&[&bytes[start..end]])?;
                match make(
                    parent.as_fd(),
                    name.as_c()?,
                    if last { kind } else { TargetKind::Directory },
                ) {
                    Ok(fd) => fd,
                    Err(Errno(libc::EEXIST)) => {
                        let mut link = [0u8; MAX_PATH];
                        match sys::read_link_at(parent.as_fd(), name.as_c()?, &mut link) {
                            Ok(n) if n < MAX_PATH && n > 0 => {
                                let head: &[u8] = if link[0] == b'/' { b"" } else { &bytes[..start] };
                                let rest = &bytes[end..];
                                return PathBuffer::new(&[head, &link[..n], rest]).map(Walk::Follow);
                            }
                            Ok(_) => return Err(Errno(libc::ENAMETOOLONG)),
                            // No symlink: somebody else made it in this moment. Take it.
                            Err(Errno(libc::EINVAL)) => open_in_root(root, prefix.as_c()?, libc::O_PATH)?,
                            Err(errno) => return Err(errno),
                        }
                    }
                    Err(errno) => return Err(errno),
                }
            }
            Err(errno) => return Err(errno),
        };
        parent = next;
        at = end;
    }
    Ok(Walk::Found(parent))
}

/// Makes one entry and opens it, refusing a symlink that replaced it meanwhile.
fn make(parent: BorrowedFd<'_>, name: &CStr, kind: TargetKind) -> SysResult<OwnedFd> {
    match kind {
        TargetKind::Directory => sys::mkdir_at(parent, name, 0o755)?,
        TargetKind::File => sys::mknod_at(parent, name, libc::S_IFREG | 0o644, 0)?,
    }
    sys::open_at2(
        parent,
        name,
        libc::O_PATH | libc::O_NOFOLLOW,
        BENEATH | NO_SYMLINKS,
    )
}

/// Opens (`O_PATH`) a path below a volume, making missing directories with the volume's own permission bits. Leaving
/// the volume by `..` or any symlink is refused with `EXDEV` (Kubernetes' subPath rules).
pub fn ensure_below(volume: BorrowedFd<'_>, path: &CStr) -> SysResult<OwnedFd> {
    let open = |path: &CStr| sys::open_at2(volume, path, libc::O_PATH, BENEATH | NO_MAGIC);
    match open(path) {
        Err(Errno(libc::ENOENT)) => {}
        other => return other,
    }
    let mode = sys::stat_fd(volume)?.mode;
    let buffer = PathBuffer::new(&[path.to_bytes()])?;
    let bytes = buffer.as_bytes();
    let mut parent = open(c".")?;
    let mut at = 0;
    while let Some((start, end)) = component(bytes, at) {
        let prefix = PathBuffer::new(&[&bytes[..end]])?;
        parent = match open(prefix.as_c()?) {
            Err(Errno(libc::ENOENT)) => {
                let name = PathBuffer::new(&[&bytes[start..end]])?;
                match sys::mkdir_at(parent.as_fd(), name.as_c()?, mode) {
                    Ok(()) => sys::chmod_at(parent.as_fd(), name.as_c()?, mode)?,
                    Err(Errno(libc::EEXIST)) => {}
                    Err(errno) => return Err(errno),
                }
                open(prefix.as_c()?)?
            }
            other => other?,
        };
        at = end;
    }
    Ok(parent)
}
