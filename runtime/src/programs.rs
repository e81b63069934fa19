//! The static programs that `build.rs` makes, each as a sealed memory file. A process that a container can see runs one
//! of these, so that no file of the host is reachable through it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use crate::sys::{self, SysResult};

/// A program, and its memory file, made once per process.
struct Program {
    name: &'static CStr,
    bytes: &'static [u8],
    file: OnceLock<OwnedFd>,
}

impl Program {
    const fn new(name: &'static CStr, bytes: &'static [u8]) -> Self {
        Self {
            name,
            bytes,
            file: OnceLock::new(),
        }
    }

    fn open(&'static self) -> SysResult<BorrowedFd<'static>> {
        if let Some(fd) = self.file.get() {
            return Ok(fd.as_fd());
        }
        let copied = if cfg!(feature = "node") {
            self.copied().ok()
        } else {
            None // a small program: what it would save is less than the time it takes
        };
        let fd = match copied {
            Some(fd) => fd,
            None => sys::sealed_memory_file(self.name, self.bytes)?,
        };
        Ok(self.file.get_or_init(|| fd).as_fd()) // of two racing makers, one's file is dropped
    }

    /// The program copied by the kernel out of our own executable: read from our memory, all of it would count as ours.
    fn copied(&self) -> SysResult<OwnedFd> {
        let address = self.bytes.as_ptr() as u64;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let offset = maps.lines().find_map(|line| file_offset(line, address));
        let offset = offset.ok_or(sys::Errno(libc::ENOENT))?;
        let mut own = File::open("/proc/self/exe")?;
        own.seek(SeekFrom::Start(offset))?;
        let mut memory = File::from(sys::executable_memory_file(self.name)?);
        let copied = std::io::copy(&mut own.take(self.bytes.len() as u64), &mut memory)?;
        let right = copied == self.bytes.len() as u64 && alike(&memory, self.bytes);
        sys::seal(memory.as_fd())?;
        right.then(|| memory.into()).ok_or(sys::Errno(libc::EIO))
    }
}

/// Whether a copy begins and ends as the program does: a wrong offset would be a wrong program.
fn alike(copy: &File, program: &[u8]) -> bool {
    const SAMPLE: usize = 1024;
    let mut bytes = [0; SAMPLE];
    [0, program.len().saturating_sub(SAMPLE)].into_iter().all(|at| {
        let part = &program[at..(at + SAMPLE).min(program.len())];
        copy.read_exact_at(&mut bytes[..part.len()], at as u64).is_ok() && bytes[..part.len()] == *part
    })
}

/// Where in its file an address lies, by a line of `/proc/PID/maps` that covers it: `START-END PERMS OFFSET ...`.
fn file_offset(line: &str, address: u64) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
    (start..end)
        .contains(&address)
        .then(|| offset + (address - start))
}

static SHIM: Program = Program::new(c"keelson-shim", include_bytes!(env!("KEELSON_SHIM")));

/// The shim, which is also the launcher of the OCI command line.
pub(crate) fn shim() -> SysResult<BorrowedFd<'static>> {
    SHIM.open()
}

#[cfg(feature = "node")]
static COMMAND: Program = Program::new(c"keelson-oci", include_bytes!(env!("KEELSON_COMMAND")));

/// The OCI command line.
#[cfg(feature = "node")]
pub(crate) fn command() -> SysResult<BorrowedFd<'static>> {
    COMMAND.open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_files_hold_the_programs() {
        for program in [&SHIM, &COMMAND] {
            let copied = File::from(program.copied().unwrap());
            let mut bytes = Vec::new();
            (&copied).seek(SeekFrom::Start(0)).unwrap();
            (&copied).read_to_end(&mut bytes).unwrap();
            assert!(bytes == program.bytes, "{:?}", program.name);
            // Sealed: nobody who reaches it can change it.
            assert!(copied.write_at(b"x", 0).is_err() && copied.set_len(0).is_err());
        }
    }

    #[test]
    fn offsets() {
        let line = "7f00-7f80 r--p 00001000 08:01 42   /bin/x";
        assert_eq!(file_offset(line, 0x7f10), Some(0x1010));
        assert_eq!(file_offset(line, 0x7f80), None);
        assert_eq!(file_offset("garbage", 0), None);
    }
}
