//! Reading directories and copying what is in files, without allocating.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, SysResult, check, check_int};

/// The names in a directory, in a buffer of the caller's stack.
#[derive(Debug)]
pub struct Entries<'a> {
    directory: BorrowedFd<'a>,
    buffer: [u64; 256],
    at: usize,
    end: usize,
}

impl<'a> Entries<'a> {
    /// Of a directory that is open for reading.
    pub fn new(directory: BorrowedFd<'a>) -> Self {
        Self {
            directory,
            buffer: [0; 256],
            at: 0,
            end: 0,
        }
    }

    /// The next name, copied into `name`, other than `.` and `..`; false at the end.
    pub fn next(&mut self, name: &mut [u8; 256]) -> SysResult<bool> {
        loop {
            if self.at >= self.end {
                let size = size_of_val(&self.buffer);
                // SAFETY: pointer and length describe the buffer, which is aligned for struct linux_dirent64.
                let n = check(unsafe {
                    libc::syscall(
                        libc::SYS_getdents64,
                        self.directory.as_raw_fd(),
                        self.buffer.as_mut_ptr(),
                        size,
                    )
                })?;
                if n == 0 {
                    return Ok(false);
                }
                (self.at, self.end) = (0, n as usize);
            }
            // SAFETY: the buffer's 2048 bytes, as bytes.
            let bytes = unsafe {
                std::slice::from_raw_parts(self.buffer.as_ptr().cast::<u8>(), size_of_val(&self.buffer))
            };
            // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name.
            let entry = &bytes[self.at..self.end];
            let length = usize::from(u16::from_ne_bytes([entry[16], entry[17]]));
            self.at += length;
            let found = CStr::from_bytes_until_nul(&entry[19..length]).map_err(|_| Errno(libc::EIO))?;
            if found == c"." || found == c".." {
                continue;
            }
            let found = found.to_bytes_with_nul();
            if found.len() > name.len() {
                return Err(Errno(libc::ENAMETOOLONG));
            }
            name[..found.len()].copy_from_slice(found);
            return Ok(true);
        }
    }
}

/// Copies a file's whole data from one descriptor to another.
pub fn copy_data(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> SysResult<()> {
    loop {
        // SAFETY: the offset may be null: the descriptors' own positions are used.
        let n = unsafe {
            libc::sendfile(
                to.as_raw_fd(),
                from.as_raw_fd(),
                std::ptr::null_mut(),
                0x7fff_f000,
            )
        };
        if check(n as libc::c_long)? == 0 {
            return Ok(());
        }
    }
}

/// Copies the extended attributes of a file. Those that the target's filesystem does not have, or that take a privilege
/// that we lack, are left out.
pub fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> SysResult<()> {
    let mut names = [0u8; 4096];
    let mut value = [0u8; 4096];
    // SAFETY: pointer and length describe `names`.
    let n = unsafe { libc::flistxattr(from.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    let n = match check(n as libc::c_long) {
        Err(Errno(libc::EOPNOTSUPP)) => return Ok(()),
        other => other? as usize,
    };
    let mut rest = &names[..n];
    while let Ok(name) = CStr::from_bytes_until_nul(rest) {
        rest = &rest[name.to_bytes_with_nul().len()..];
        // SAFETY: `name` is NUL-terminated; pointer and length describe `value`.
        let size = check(unsafe {
            libc::fgetxattr(
                from.as_raw_fd(),
                name.as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        } as libc::c_long)? as usize;
        // SAFETY: as above.
        let set = unsafe { libc::fsetxattr(to.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), size, 0) };
        match check_int(set) {
            Err(Errno(libc::EOPNOTSUPP | libc::EPERM | libc::EACCES)) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Gives `to` the times of last access and change of `from`.
pub fn copy_times(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> SysResult<()> {
    // SAFETY: an all-zero stat is a valid value of this plain C structure.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `raw` is writable.
    check_int(unsafe { libc::fstat(from.as_raw_fd(), &raw mut raw) })?;
    let time = |seconds, nanoseconds| libc::timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = [
        time(raw.st_atime, raw.st_atime_nsec),
        time(raw.st_mtime, raw.st_mtime_nsec),
    ];
    // SAFETY: two timespecs.
    check_int(unsafe { libc::futimens(to.as_raw_fd(), times.as_ptr()) })?;
    Ok(())
}
