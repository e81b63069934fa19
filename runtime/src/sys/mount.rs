//! The file-descriptor mount interface: fsopen, fsmount, open_tree, move_mount, mount_setattr.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{SysResult, check, check_int};

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;

/// A filesystem being configured (`fsopen`).
#[derive(Debug)]
pub struct MountFs(OwnedFd);

impl MountFs {
    /// Opens a filesystem type by name.
    pub fn open(kind: &CStr) -> SysResult<Self> {
        const FSOPEN_CLOEXEC: libc::c_uint = 1;
        // SAFETY: `kind` is NUL-terminated.
        let fd = check(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Picks up the filesystem that is mounted at a descriptor, to change its options.
    pub fn pick(mounted: BorrowedFd<'_>) -> SysResult<Self> {
        const FSPICK_CLOEXEC: libc::c_uint = 1;
        const FSPICK_EMPTY_PATH: libc::c_uint = 8;
        // SAFETY: the path is an empty string.
        let fd = check(unsafe {
            libc::syscall(
                libc::SYS_fspick,
                mounted.as_raw_fd(),
                c"".as_ptr(),
                FSPICK_CLOEXEC | FSPICK_EMPTY_PATH,
            )
        })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Puts changed options into force.
    pub fn reconfigure(&self) -> SysResult<()> {
        const FSCONFIG_CMD_RECONFIGURE: libc::c_uint = 7;
        self.config(FSCONFIG_CMD_RECONFIGURE, None, None)
    }

    fn config(&self, command: libc::c_uint, key: Option<&CStr>, value: Option<&CStr>) -> SysResult<()> {
        let pointer = |s: Option<&CStr>| s.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: both strings are null or NUL-terminated, as these commands require; aux is 0.
        check(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.0.as_raw_fd(),
                command,
                pointer(key),
                pointer(value),
                0,
            )
        })?;
        Ok(())
    }

    /// Sets an option: with a value, or as a flag.
    pub fn set(&self, key: &CStr, value: Option<&CStr>) -> SysResult<()> {
        let command = if value.is_some() {
            FSCONFIG_SET_STRING
        } else {
            FSCONFIG_SET_FLAG
        };
        self.config(command, Some(key), value)
    }

    /// Creates the filesystem and returns it as a detached mount with these attributes.
    pub fn mount(&self, attributes: Attributes) -> SysResult<OwnedFd> {
        const FSMOUNT_CLOEXEC: libc::c_uint = 1;
        self.config(FSCONFIG_CMD_CREATE, None, None)?;
        // SAFETY: takes integers only.
        let fd = check(unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                self.0.as_raw_fd(),
                FSMOUNT_CLOEXEC,
                attributes.set as libc::c_uint,
            )
        })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// The next message the kernel left about a failure, such as the option it refused. For error texts: allocates.
    pub fn message(&self) -> Option<String> {
        let mut buffer = [0u8; 512];
        let n = super::read_fd(self.0.as_fd(), &mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..n]).trim_end().to_owned())
    }

    /// As [`MountFs::message`], into a buffer; its length, 0 where there is none.
    pub fn read_message(&self, buffer: &mut [u8]) -> usize {
        super::read_fd(self.0.as_fd(), buffer).unwrap_or(0)
    }
}

/// What to change on a mount: `MOUNT_ATTR_*` bits to set and clear, and `MS_PRIVATE`, `MS_SLAVE` or `MS_SHARED` (0
/// leaves propagation alone).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
    /// Propagation.
    pub propagation: u64,
}

impl Attributes {
    /// `MOUNT_ATTR_RDONLY`.
    pub const READ_ONLY: u64 = 0x1;
    /// `MOUNT_ATTR_NOSUID`.
    pub const NO_SUID: u64 = 0x2;
    /// `MOUNT_ATTR_NODEV`.
    pub const NO_DEV: u64 = 0x4;
    /// `MOUNT_ATTR_NOEXEC`.
    pub const NO_EXEC: u64 = 0x8;
    /// `MOUNT_ATTR_NOATIME`.
    pub const NO_ATIME: u64 = 0x10;
    /// `MOUNT_ATTR_STRICTATIME`.
    pub const STRICT_ATIME: u64 = 0x20;
    /// `MOUNT_ATTR__ATIME`: must be cleared whenever one of the access-time modes is set.
    pub const ATIME_MASK: u64 = 0x70;
    /// `MOUNT_ATTR_NODIRATIME`.
    pub const NO_DIR_ATIME: u64 = 0x80;
    /// `MOUNT_ATTR_IDMAP`.
    const ID_MAP: u64 = 0x10_0000;
    /// `MOUNT_ATTR_NOSYMFOLLOW`.
    pub const NO_SYMLINK_FOLLOW: u64 = 0x20_0000;
}

/// Changes the attributes of a mount, of everything below it as well when `recursive`.
pub fn mount_set_attributes(mount: BorrowedFd<'_>, attributes: Attributes, recursive: bool) -> SysResult<()> {
    if attributes == Attributes::default() {
        return Ok(());
    }
    let raw = [attributes.set, attributes.clear, attributes.propagation, 0u64];
    let flags = libc::AT_EMPTY_PATH as libc::c_uint | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: `raw` has the layout of struct mount_attr (four u64); the path is an empty string.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            raw.as_ptr(),
            size_of_val(&raw),
        )
    })?;
    Ok(())
}

/// Shows a detached mount's files with the ids of a user namespace (an id-mapped mount), of the mounts below it as well
/// when `recursive`.
pub fn mount_map_ids(
    mount: BorrowedFd<'_>,
    user_namespace: BorrowedFd<'_>,
    recursive: bool,
) -> SysResult<()> {
    let raw = [Attributes::ID_MAP, 0, 0, user_namespace.as_raw_fd() as u64];
    let flags = libc::AT_EMPTY_PATH as libc::c_uint | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: as in `mount_set_attributes`.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            raw.as_ptr(),
            size_of_val(&raw),
        )
    })?;
    Ok(())
}

/// A detached copy of the mount at a descriptor (a bind mount that is attached nowhere yet).
pub fn open_tree(at: BorrowedFd<'_>, recursive: bool) -> SysResult<OwnedFd> {
    let flags = OPEN_TREE_CLONE
        | libc::O_CLOEXEC as libc::c_uint
        | libc::AT_EMPTY_PATH as libc::c_uint
        | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty string.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, at.as_raw_fd(), c"".as_ptr(), flags) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a detached mount on the file or directory behind `target`.
pub fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> SysResult<()> {
    // SAFETY: both paths are empty strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// Makes every mount of this mount namespace private: nothing done from here on is seen outside.
pub fn make_tree_private() -> SysResult<()> {
    // SAFETY: source, type and data may be null for a change of propagation.
    check_int(unsafe {
        libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            ptr::null(),
        )
    })?;
    Ok(())
}

/// Makes the mount behind `root` the root directory, and lets go of all other mounts.
pub fn pivot_into(root: BorrowedFd<'_>) -> SysResult<()> {
    super::chdir_fd(root)?;
    // SAFETY: both paths are valid strings. With new root and old root both ".", the old root ends up mounted over
    // the new one (pivot_root(2), NOTES), from where the next call removes it.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: a valid string.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    // SAFETY: a valid string.
    check_int(unsafe { libc::chdir(c"/".as_ptr()) })?;
    Ok(())
}

/// Makes an open directory the root directory, in a mount namespace that others live in as well.
pub fn change_root(root: BorrowedFd<'_>) -> SysResult<()> {
    super::chdir_fd(root)?;
    // SAFETY: a valid string.
    check_int(unsafe { libc::chroot(c".".as_ptr()) })?;
    // SAFETY: a valid string.
    check_int(unsafe { libc::chdir(c"/".as_ptr()) })?;
    Ok(())
}

/// Lazily unmounts what is mounted at `path` (not following a symlink there).
pub fn unmount(path: &CStr) -> SysResult<()> {
    // SAFETY: a valid string.
    check_int(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) })?;
    Ok(())
}

/// Mounts a filesystem with its options as one text (mount(2)).
pub fn mount_with_text(source: &CStr, path: &CStr, kind: &CStr, options: &CStr) -> SysResult<()> {
    // SAFETY: all strings are valid.
    check_int(unsafe {
        libc::mount(
            source.as_ptr(),
            path.as_ptr(),
            kind.as_ptr(),
            0,
            options.as_ptr().cast(),
        )
    })?;
    Ok(())
}

/// Mounts a small private tmpfs at `path`.
pub fn mount_tmpfs(path: &CStr, options: &CStr) -> SysResult<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: all strings are valid.
    check_int(unsafe {
        libc::mount(
            c"keelson".as_ptr(),
            path.as_ptr(),
            c"tmpfs".as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    })?;
    // SAFETY: as in make_tree_private.
    check_int(unsafe {
        libc::mount(
            ptr::null(),
            path.as_ptr(),
            ptr::null(),
            libc::MS_PRIVATE,
            ptr::null(),
        )
    })?;
    Ok(())
}

/// The magic number of the filesystem that a descriptor is on (`linux/magic.h`).
#[allow(clippy::unnecessary_cast)] // C libraries differ in its type
pub fn fs_type(fd: BorrowedFd<'_>) -> SysResult<i64> {
    // SAFETY: an all-zero statfs is a valid value of this plain C structure.
    let mut buffer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `buffer` is writable.
    check_int(unsafe { libc::fstatfs(fd.as_raw_fd(), &raw mut buffer) })?;
    Ok(buffer.f_type as i64)
}
