//! `HOME` of a process whose environment has none, from the container's own `/etc/passwd`, as runc sets it. Allocates
//! nothing in the child.

use std::cell::Cell;
use std::ffi::c_char;
use std::os::fd::{AsFd, BorrowedFd};

use super::confined::open_in_root;
use crate::sys::{self, FileKind};

/// What comes before the directory.
const NAME: &[u8] = b"HOME=";
/// Longest directory.
const MAX_HOME: usize = 4096;
/// Longest line of `/etc/passwd` that is looked at, and how much of the file.
const MAX_LINE: usize = 4096;
const MAX_FILE: usize = 1 << 20;

/// An entry of the environment that the child fills in.
#[derive(Debug)]
pub(super) struct HomeEntry(Box<[Cell<u8>]>);

impl HomeEntry {
    /// For an environment that names no home directory.
    pub(super) fn wanted(env: &[String]) -> Option<Self> {
        let named = |entry: &String| entry.strip_prefix("HOME=").is_some_and(|home| !home.is_empty());
        if env.iter().any(named) {
            return None;
        }
        let entry = Self(vec![Cell::new(0); NAME.len() + MAX_HOME + 1].into());
        entry.write(b"/");
        Some(entry)
    }

    fn write(&self, home: &[u8]) {
        let text = NAME.iter().chain(home).chain(b"\0");
        for (cell, byte) in self.0.iter().zip(text) {
            cell.set(*byte);
        }
    }

    /// The entry as exec wants it.
    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// Looks the user up below `root`. It stays `/` for one who is not listed, or without a file to read.
    pub(super) fn look_up(&self, root: BorrowedFd<'_>, uid: u32) {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let Ok(file) = open_in_root(root, c"/etc/passwd", flags) else {
            return;
        };
        if !sys::stat_fd(file.as_fd()).is_ok_and(|stat| stat.kind == FileKind::Regular) {
            return;
        }
        let mut line = Line::default();
        let mut buffer = [0; 4096];
        for _ in 0..MAX_FILE / buffer.len() {
            let Ok(n @ 1..) = sys::read_fd(file.as_fd(), &mut buffer) else {
                break;
            };
            for byte in &buffer[..n] {
                if *byte != b'\n' {
                    line.push(*byte);
                } else if self.take(&line, uid) {
                    return;
                } else {
                    line.clear();
                }
            }
        }
        self.take(&line, uid);
    }

    /// Takes the directory of a line, if the line is this user's.
    fn take(&self, line: &Line, uid: u32) -> bool {
        let mut fields = line.as_bytes().split(|b| *b == b':');
        let number = fields.nth(2).and_then(|field| std::str::from_utf8(field).ok());
        if number.and_then(|number| number.parse().ok()) != Some(uid) {
            return false;
        }
        if let Some(home) = fields
            .nth(2)
            .filter(|home| !home.is_empty() && !home.contains(&0))
        {
            self.write(home);
        }
        true
    }
}

/// A line as far as it is read; one that is too long is nobody's.
struct Line {
    bytes: [u8; MAX_LINE],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_LINE],
            length: 0,
        }
    }
}

impl Line {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length += 1;
    }

    fn clear(&mut self) {
        self.length = 0;
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::fs;

    use super::*;

    fn home(passwd: &[u8], uid: u32) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        let root = fs::File::open(dir.path()).unwrap();
        let entry = HomeEntry::wanted(&["HOME=".to_owned(), "A=b".to_owned()]).unwrap();
        entry.look_up(root.as_fd(), uid);
        let bytes: Vec<u8> = entry.0.iter().map(Cell::get).collect();
        CStr::from_bytes_until_nul(&bytes)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn of_the_file() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\n:::\nu:x:7:8::/home/u:\nu2:x:7:9::/other:\nnone:x:9:9::\nlast:x:11:11:::/sh:/l";
        assert_eq!(home(passwd, 0), "HOME=/root");
        assert_eq!(home(passwd, 7), "HOME=/home/u", "the first line counts");
        assert_eq!(home(passwd, 8), "HOME=/");
        assert_eq!(home(passwd, 9), "HOME=/", "an empty one is none");
        assert_eq!(home(b"a:x:1:1::/last", 1), "HOME=/last", "without a newline");
        assert_eq!(home(b"", 1), "HOME=/");
    }

    #[test]
    fn of_a_hostile_file() {
        let long = [&b"a:x:1:1::/"[..], &[b'x'; 8192], b"\nb:x:1:1::/b:\n"].concat();
        assert_eq!(home(&long, 1), "HOME=/b", "a line that is too long is nobody's");
        assert_eq!(home(b"a:x:1:1::/a\0b:\n", 1), "HOME=/");
        assert_eq!(home(b"a:x:+1x:1::/a:\na:x:4294967297:1::/a:\n", 1), "HOME=/");
        assert_eq!(home(&vec![b'\n'; 3 << 20], 1), "HOME=/");
    }

    #[test]
    fn only_where_none_is_named() {
        assert!(HomeEntry::wanted(&["HOME=/x".to_owned()]).is_none());
        assert!(HomeEntry::wanted(&["HOMER=/x".to_owned()]).is_some());
    }
}
