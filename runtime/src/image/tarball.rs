//! Reading a tar stream (POSIX.1-2001 pax, GNU long names) from somebody who may wish us harm.
//!
//! The `tar` crate splits the stream into raw members; what describes the next member (long names, pax records) is
//! read here, because it must be bounded and because pax values may be binary.

use std::io::Read;

use tar::{Archive, EntryType, Header};

use super::{Error, limits};

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// One member, extensions applied.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub name: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub mtime: (i64, u32),
    /// Length of the contents.
    pub size: u64,
    /// Extended attributes (`SCHILY.xattr.` records).
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Calls `each` with every member and its contents. `each` need not read them.
pub(super) fn for_each(
    reader: impl Read,
    mut each: impl FnMut(Member, &mut dyn Read) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |source| Error::stream("reading tar", source);
    let mut archive = Archive::new(reader);
    let mut pending = Extensions::default();
    let mut members = 0;
    for entry in archive.entries().map_err(failed)?.raw(true) {
        let mut entry = entry.map_err(failed)?;
        let size = entry.header().entry_size().map_err(failed)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => pending.name = Some(pending.long_name(&mut entry)?),
            EntryType::GNULongLink => pending.link = Some(pending.long_name(&mut entry)?),
            EntryType::XHeader => {
                let records = pending.read(&mut entry)?;
                pending.records(&records)?;
            }
            // Defaults for a whole archive: only git writes them, with a comment.
            EntryType::XGlobalHeader => {}
            _ => {
                members += 1;
                if members > limits::MEMBERS {
                    return Err(Error::Invalid(format!("an archive has over {members} members")));
                }
                let member = std::mem::take(&mut pending).member(entry.header(), size)?;
                each(member, &mut entry)?;
            }
        }
    }
    Ok(())
}

/// Copies all of a member's contents; a stream that ends before is refused.
pub(super) fn copy(contents: &mut dyn Read, to: &mut dyn std::io::Write, size: u64) -> Result<(), Error> {
    let copied = std::io::copy(contents, to).map_err(|source| Error::stream("unpacking a file", source))?;
    if copied == size {
        Ok(())
    } else {
        Err(Error::Invalid("a tar archive ends within a file".to_owned()))
    }
}

/// What precedes a member and describes it.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(String, Vec<u8>)>,
    bytes: u64,
}

impl Extensions {
    fn read(&mut self, entry: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let left = limits::EXTENSIONS.saturating_sub(self.bytes);
        let bytes = limits::read_limited(entry, left, "the extension of a tar member")?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn long_name(&mut self, entry: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let mut name = self.read(entry)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Records of the form `LENGTH KEY=VALUE\n`, LENGTH counting all of it (POSIX pax, "pax Extended Header").
    fn records(&mut self, mut rest: &[u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            let (record, after) = split_record(rest)
                .ok_or_else(|| Error::Invalid("a tar archive has a damaged pax record".to_owned()))?;
            rest = after;
            let Some(equals) = record.iter().position(|b| *b == b'=') else {
                return Err(Error::Invalid(
                    "a tar archive has a pax record without value".to_owned(),
                ));
            };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            self.record(key, value)?;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match key {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"size" => self.size = Some(number(value)?),
            b"mtime" => self.mtime = Some(timestamp(value)?),
            _ if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    self.xattrs.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    fn member(self, header: &Header, size: u64) -> Result<Member, Error> {
        let damaged = |source| Error::stream("a tar header", source);
        // Readers that disagree about a size see different archives in the same bytes.
        if self.size.is_some_and(|pax| pax != size) {
            return Err(Error::Invalid("a tar member has two different sizes".to_owned()));
        }
        let name = self.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = self
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = || {
            link.clone()
                .ok_or_else(|| Error::Invalid("a tar link has no target".to_owned()))
        };
        let device = || -> Result<(u32, u32), Error> {
            let number =
                |part: std::io::Result<Option<u32>>| part.map_err(damaged).map(Option::unwrap_or_default);
            Ok((number(header.device_major())?, number(header.device_minor())?))
        };
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file whose name ends in a slash.
            EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::HardLink(link()?),
            EntryType::Char => device().map(|(major, minor)| Kind::CharDevice(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
            EntryType::Fifo => Kind::Fifo,
            EntryType::GNUSparse => return Err(sparse()),
            other => {
                return Err(Error::Invalid(format!(
                    "a tar member has the unknown type {:?}",
                    other.as_byte()
                )));
            }
        };
        let id = |pax: Option<u64>, own: std::io::Result<u64>| -> Result<u32, Error> {
            let id = pax.map_or_else(|| own.map_err(damaged), Ok)?;
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| Error::Invalid(format!("a tar member is owned by {id}")))
        };
        Ok(Member {
            mode: header.mode().map_err(damaged)? & 0o7777,
            uid: id(self.uid, header.uid())?,
            gid: id(self.gid, header.gid())?,
            mtime: match self.mtime {
                Some(mtime) => mtime,
                None => (header.mtime().map_err(damaged)?.try_into().unwrap_or(0), 0),
            },
            size,
            xattrs: self.xattrs,
            name,
            kind,
        })
    }
}

fn sparse() -> Error {
    Error::Invalid("sparse tar members are not supported".to_owned())
}

/// Splits off one pax record: its `KEY=VALUE`, and what follows.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    if length < space + 2 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return None;
    }
    Some((&bytes[space + 1..length - 1], &bytes[length..]))
}

fn number(value: &[u8]) -> Result<u64, Error> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Invalid("a pax record has a bad number".to_owned()))
}

/// `seconds[.fraction]`, possibly negative.
fn timestamp(value: &[u8]) -> Result<(i64, u32), Error> {
    let bad = || Error::Invalid("a pax record has a bad time".to_owned());
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().map_err(|_| bad())?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let nanoseconds = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    // -1.25 means 0.75 after -2.
    if text.starts_with('-') && nanoseconds > 0 {
        return Ok((seconds.saturating_sub(1), 1_000_000_000 - nanoseconds));
    }
    Ok((seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pax_values_may_hold_anything() {
        let mut extensions = Extensions::default();
        extensions
            .records(b"31 SCHILY.xattr.user.a=\n=\0bcde\n12 path=a/b\n20 mtime=-1.2500000\n")
            .unwrap();
        assert_eq!(extensions.xattrs, [("user.a".to_owned(), b"\n=\0bcde".to_vec())]);
        assert_eq!(extensions.name.unwrap(), b"a/b");
        assert_eq!(extensions.mtime, Some((-2, 750_000_000)));
    }

    #[test]
    fn damaged_records_are_refused() {
        for bad in [
            &b"5 a\n"[..],
            b"3 a",
            b"99 a=b\n",
            b"0 ",
            b"-1 a=b\n",
            b"7 uid=x\n",
            b"6 a=bc\n6 a=b",
        ] {
            assert!(Extensions::default().records(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = for_each(&bytes[..], |_, _| Ok(()));
            let _ = Extensions::default().records(&bytes);
        }
    }
}
