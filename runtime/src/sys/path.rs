//! Paths: confined resolution with openat2, and making files relative to a descriptor.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, SysResult, check, check_int};

/// Opens relative to a directory. Absolute paths ignore `dir`: use only with trusted paths.
pub fn open_at(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> SysResult<OwnedFd> {
    // SAFETY: `path` is NUL-terminated.
    let fd =
        check_int(unsafe { libc::openat(dir.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Device and inode of a trusted path of this mount namespace, its last symlink followed: what tells namespaces apart.
pub fn identity_of(path: &CStr) -> SysResult<(u64, u64)> {
    // SAFETY: an all-zero stat is a valid value of this plain C structure.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is NUL-terminated, `raw` writable.
    check_int(unsafe { libc::stat(path.as_ptr(), &raw mut raw) })?;
    Ok((raw.st_dev, raw.st_ino))
}

/// Removes an empty directory in a directory.
pub fn remove_dir_at(dir: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    // SAFETY: `name` is NUL-terminated.
    check_int(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) })?;
    Ok(())
}

/// Opens a trusted path of this mount namespace. For `O_PATH`, which std's `OpenOptions` drops without a word on musl: it
/// takes it for a part of the access mode there, and would open devices and pipes for real.
pub fn open_path(path: &CStr, flags: i32) -> SysResult<OwnedFd> {
    // SAFETY: `path` is NUL-terminated.
    let fd = check_int(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens relative to a directory under `RESOLVE_*` rules (openat2(2)). Retries EAGAIN, which the kernel gives when a
/// rename elsewhere raced with a confined `..`.
pub fn open_at2(dir: BorrowedFd<'_>, path: &CStr, flags: i32, resolve: u64) -> SysResult<OwnedFd> {
    let how = [(flags | libc::O_CLOEXEC) as u64, 0u64, resolve];
    for _ in 0..128 {
        // SAFETY: `how` has the layout of struct open_how (three u64), `path` is NUL-terminated.
        let result = check(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                dir.as_raw_fd(),
                path.as_ptr(),
                how.as_ptr(),
                size_of_val(&how),
            )
        });
        match result {
            Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
            Err(errno) => return Err(errno),
            // SAFETY: a fresh descriptor that nobody else owns.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
        }
    }
    Err(Errno(libc::EAGAIN))
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Directory.
    Directory,
    /// Regular file.
    Regular,
    /// Character device with this number.
    CharDevice(u64),
    /// Block device with this number.
    BlockDevice(u64),
    /// Symbolic link.
    Symlink,
    /// Pipe or socket.
    Other,
}

/// What this crate looks at in `struct stat`.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Kind, and number of a device.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// `S_IF*` bits of the mode.
    pub format: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Inode.
    pub inode: u64,
    /// Filesystem.
    pub device: u64,
}

/// `fstat`; works on `O_PATH` descriptors.
pub fn stat_fd(fd: BorrowedFd<'_>) -> SysResult<Stat> {
    // SAFETY: an all-zero stat is a valid value of this plain C structure.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `raw` is writable.
    check_int(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut raw) })?;
    let kind = match raw.st_mode & libc::S_IFMT {
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFREG => FileKind::Regular,
        libc::S_IFCHR => FileKind::CharDevice(raw.st_rdev),
        libc::S_IFBLK => FileKind::BlockDevice(raw.st_rdev),
        libc::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Ok(Stat {
        kind,
        mode: raw.st_mode & 0o7777,
        format: raw.st_mode & libc::S_IFMT,
        uid: raw.st_uid,
        gid: raw.st_gid,
        size: raw.st_size as u64,
        inode: raw.st_ino,
        device: raw.st_dev,
    })
}

/// Makes a directory; `name` must be a single component.
pub fn mkdir_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> SysResult<()> {
    // SAFETY: `name` is NUL-terminated.
    check_int(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode) })?;
    Ok(())
}

/// Makes a device node (`mode` with `S_IFCHR` or `S_IFBLK`), a pipe or an empty regular file; one component.
pub fn mknod_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32, device: u64) -> SysResult<()> {
    // SAFETY: `name` is NUL-terminated.
    check_int(unsafe { libc::mknodat(dir.as_raw_fd(), name.as_ptr(), mode, device) })?;
    Ok(())
}

/// Sets permission bits, which the file mode creation mask may have reduced. Follows no symlink: `name` was just made.
pub fn chmod_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> SysResult<()> {
    const SYS_FCHMODAT2: libc::c_long = 452;
    // SAFETY: `name` is NUL-terminated.
    let result = check(unsafe {
        libc::syscall(
            SYS_FCHMODAT2,
            dir.as_raw_fd(),
            name.as_ptr(),
            mode,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    });
    match result {
        // Before Linux 6.6: through the open file, rather than follow a name that may have been swapped.
        Err(Errno(libc::ENOSYS)) => {
            let file = open_at(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            chmod_opened(std::os::fd::AsFd::as_fd(&file), mode)
        }
        other => other.map(|_| ()),
    }
}

/// Sets the permission bits of an open file by its name in `/proc/self/fd`, which also serves `O_PATH` descriptors.
fn chmod_opened(file: BorrowedFd<'_>, mode: u32) -> SysResult<()> {
    let mut path = [0u8; 32];
    let head = b"/proc/self/fd/";
    path[..head.len()].copy_from_slice(head);
    super::decimal(file.as_raw_fd() as u64, &mut path[head.len()..]);
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: `path` is NUL-terminated.
    check_int(unsafe { libc::chmod(path.as_ptr(), mode) })?;
    Ok(())
}

/// Sets the permission bits of an open file (not of an `O_PATH` descriptor).
pub fn chmod_fd(fd: BorrowedFd<'_>, mode: u32) -> SysResult<()> {
    // SAFETY: takes integers.
    check_int(unsafe { libc::fchmod(fd.as_raw_fd(), mode) })?;
    Ok(())
}

/// Changes the owner of an open file; `u32::MAX` keeps it.
pub fn chown_fd(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> SysResult<()> {
    // SAFETY: takes integers.
    check_int(unsafe { libc::fchown(fd.as_raw_fd(), uid, gid) })?;
    Ok(())
}

/// Changes the owner of what was just made under `name`; follows no symlink.
pub fn chown_at(dir: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> SysResult<()> {
    // SAFETY: `name` is NUL-terminated.
    check_int(unsafe {
        libc::fchownat(
            dir.as_raw_fd(),
            name.as_ptr(),
            uid,
            gid,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    })?;
    Ok(())
}

/// Makes a symlink; one component.
pub fn symlink_at(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> SysResult<()> {
    // SAFETY: both strings are NUL-terminated.
    check_int(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) })?;
    Ok(())
}

/// Reads a symlink's text into `buffer`; the length, which equals the buffer's when it did not fit.
pub fn read_link_at(dir: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> SysResult<usize> {
    // SAFETY: the pointer and length describe `buffer`.
    let n = unsafe {
        libc::readlinkat(
            dir.as_raw_fd(),
            name.as_ptr(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
        )
    };
    check(n as libc::c_long).map(|n| n as usize)
}

/// Changes the working directory to an open directory.
pub fn chdir_fd(dir: BorrowedFd<'_>) -> SysResult<()> {
    // SAFETY: takes an integer.
    check_int(unsafe { libc::fchdir(dir.as_raw_fd()) })?;
    Ok(())
}

/// Cuts an open file to `length` bytes.
pub fn truncate(fd: BorrowedFd<'_>, length: u64) -> SysResult<()> {
    // SAFETY: takes integers.
    check_int(unsafe { libc::ftruncate(fd.as_raw_fd(), length as libc::off_t) })?;
    Ok(())
}

/// Whether the path can be executed by the effective user: `EACCES` if not.
pub fn check_executable(path: &CStr) -> SysResult<()> {
    // SAFETY: `path` is NUL-terminated.
    check_int(unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) })?;
    let file = open_path(path, libc::O_PATH)?;
    if stat_fd(std::os::fd::AsFd::as_fd(&file))?.kind == FileKind::Directory {
        return Err(Errno(libc::EISDIR));
    }
    Ok(())
}
