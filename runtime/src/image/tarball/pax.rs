//! What precedes a member and describes it: long names and pax records. Read here because it must be bounded and
//! because pax values may be binary.

use std::io::Read;

use super::sparse;
use crate::image::{Error, limits};

/// Everything said about the next member.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) name: Option<Vec<u8>>,
    /// `GNU.sparse.name`: the header has a made-up name then.
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    pub(super) sparse: sparse::Records,
    bytes: u64,
}

impl Extensions {
    /// All contents of an extension member.
    pub(super) fn read(&mut self, entry: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let left = limits::EXTENSIONS.saturating_sub(self.bytes);
        let bytes = limits::read_limited(entry, left, "the extension of a tar member")?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Contents of a GNU long name or long link, whose terminating NUL is counted.
    pub(super) fn long_name(&mut self, entry: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let mut name = self.read(entry)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Records of the form `LENGTH KEY=VALUE\n`, LENGTH counting all of it (POSIX pax, "pax Extended Header").
    pub(super) fn records(&mut self, mut rest: &[u8]) -> Result<(), Error> {
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
            b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.record(key, value)?;
                } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    self.xattrs.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
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

/// A decimal number without sign.
pub(super) fn number(value: &[u8]) -> Result<u64, Error> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Invalid("a tar archive has a bad number".to_owned()))
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
