//! The file as a stream. All numbers are little-endian.
//!
//! ```text
//! magic      8 bytes, with line ends that a careless transfer would change
//! version    u32
//! revision   u64    of the state
//! compacted  u64    nothing is known of what happened up to there
//! taken      u64    Unix seconds
//! records           1, key length u32, key, value length u32, value   an object's row as it is stored
//!                   2, key length u32, key, revision u64              the last change of a resource
//! end               0, number of objects u64, number of resources u64
//! checksum   32 bytes, SHA-256 of everything before
//! ```
//!
//! Keys come in ascending order, resources before objects. Nothing follows the checksum.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use super::{SnapshotError, Summary};
use crate::store::disk::{Meta, decode, split};

const MAGIC: &[u8; 8] = b"KLSNAP\r\n";
/// The version of the format.
pub const VERSION: u32 = 1;
const END: u8 = 0;
const OBJECT: u8 = 1;
const CHANGED: u8 = 2;
/// Longest key: group, resource, namespace and name are at most 253 bytes each.
const LONGEST_KEY: u32 = 4096;
/// Largest row. Requests are limited to 3 MiB; what they grow to stays far below this.
const LARGEST_ROW: u32 = 64 << 20;

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// An object's row.
    Object(&'a str, &'a [u8]),
    /// A resource's prefix, and the revision of its last change.
    Changed(&'a str, u64),
}

/// Writes a snapshot.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    digest: Sha256,
    bytes: u64,
    meta: Meta,
    taken: u64,
    objects: u64,
    resources: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the head.
    pub fn new(out: W, meta: Meta, taken: u64) -> std::io::Result<Self> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            bytes: 0,
            meta,
            taken,
            objects: 0,
            resources: 0,
        };
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        for number in [meta.revision, meta.compacted, taken] {
            writer.put(&number.to_le_bytes())?;
        }
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn text(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        self.put(&length.to_le_bytes())?;
        self.put(bytes)
    }

    /// Writes a record.
    pub fn record(&mut self, record: &Record<'_>) -> std::io::Result<()> {
        match record {
            Record::Object(key, row) => {
                self.objects += 1;
                self.put(&[OBJECT])?;
                self.text(key.as_bytes())?;
                self.text(row)
            }
            Record::Changed(prefix, revision) => {
                self.resources += 1;
                self.put(&[CHANGED])?;
                self.text(prefix.as_bytes())?;
                self.put(&revision.to_le_bytes())
            }
        }
    }

    /// Writes the end.
    pub fn finish(mut self) -> std::io::Result<Summary> {
        self.put(&[END])?;
        let counts = [self.objects, self.resources];
        for number in counts {
            self.put(&number.to_le_bytes())?;
        }
        let sha256: [u8; 32] = self.digest.finalize().into();
        self.out.write_all(&sha256)?;
        self.out.flush()?;
        Ok(Summary {
            sha256,
            revision: self.meta.revision,
            taken: self.taken,
            objects: self.objects,
            bytes: self.bytes + sha256.len() as u64,
        })
    }
}

/// Reads a snapshot, whatever is in it, in bounded memory. Records are not to be trusted before the end was reached.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    digest: Sha256,
    bytes: u64,
    meta: Meta,
    taken: u64,
    objects: u64,
    resources: u64,
    key: Vec<u8>,
    value: Vec<u8>,
    /// The last record's kind and key: resources come first, and keys ascend.
    last: (u8, Vec<u8>),
    end: Option<[u8; 32]>,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    pub fn new(input: R) -> Result<Self, SnapshotError> {
        let mut reader = Self {
            input,
            digest: Sha256::new(),
            bytes: 0,
            meta: Meta {
                revision: 0,
                compacted: 0,
            },
            taken: 0,
            objects: 0,
            resources: 0,
            key: Vec::new(),
            value: Vec::new(),
            last: (CHANGED, Vec::new()),
            end: None,
        };
        match reader.array::<8>() {
            Ok(magic) if magic == *MAGIC => {}
            Ok(_) if reader.is_bolt() => return Err(SnapshotError::Etcd),
            Ok(_) | Err(SnapshotError::Cut(_)) => return Err(SnapshotError::Foreign),
            Err(error) => return Err(error),
        }
        let version = u32::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        reader.meta.revision = reader.number()?;
        reader.meta.compacted = reader.number()?;
        reader.taken = reader.number()?;
        if reader.meta.revision == 0 || reader.meta.compacted > reader.meta.revision {
            return Err(damaged("its revisions contradict each other"));
        }
        Ok(reader)
    }

    /// Whether what follows the first 8 bytes is as in etcd's snapshots, which are files of bbolt: a page's head of 16 bytes,
    /// and then bbolt's own mark.
    fn is_bolt(&mut self) -> bool {
        let rest: Result<[u8; 12], _> = self.array();
        rest.is_ok_and(|rest| rest[8..] == 0xED0C_DAED_u32.to_le_bytes())
    }

    /// The next record; `None` once the end was reached and the checksum is right.
    pub fn next(&mut self) -> Result<Option<Record<'_>>, SnapshotError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let [kind] = self.array::<1>()?;
        match kind {
            END => {
                self.finish()?;
                Ok(None)
            }
            CHANGED => {
                self.key()?;
                let revision = self.number()?;
                self.in_order(CHANGED)?;
                self.known(revision)?;
                self.resources += 1;
                Ok(Some(Record::Changed(text(&self.key)?, revision)))
            }
            OBJECT => {
                self.key()?;
                let length = self.length(LARGEST_ROW)?;
                let mut value = std::mem::take(&mut self.value);
                self.fill(&mut value, length)?;
                self.value = value;
                self.in_order(OBJECT)?;
                // Also what a store would refuse: it must not be restored.
                let row = decode(text(&self.key)?, &self.value);
                let row = row.map_err(|why| damaged(&format!("a row: {why}")))?;
                self.known(row.revision)?;
                self.objects += 1;
                Ok(Some(Record::Object(text(&self.key)?, &self.value)))
            }
            _ => Err(damaged(&format!("a record of kind {kind}"))),
        }
    }

    /// What it holds, after the end was reached.
    pub fn summary(&self) -> Result<Summary, SnapshotError> {
        let Some(sha256) = self.end else {
            return Err(SnapshotError::Cut(self.bytes));
        };
        Ok(Summary {
            sha256,
            revision: self.meta.revision,
            taken: self.taken,
            objects: self.objects,
            bytes: self.bytes,
        })
    }

    fn finish(&mut self) -> Result<(), SnapshotError> {
        let counts = [self.number()?, self.number()?];
        let sha256: [u8; 32] = self.digest.clone().finalize().into();
        if self.array::<32>()? != sha256 {
            return Err(damaged("its checksum is wrong"));
        }
        if counts != [self.objects, self.resources] {
            return Err(damaged("its records are not as many as it says"));
        }
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(damaged("something follows its end")),
            Err(error) => return Err(SnapshotError::io("reading the snapshot")(error)),
        }
        self.end = Some(sha256);
        Ok(())
    }

    fn in_order(&mut self, kind: u8) -> Result<(), SnapshotError> {
        // Resources (2) come before objects (1).
        let (last, key) = &self.last;
        let ascends = kind < *last || (kind == *last && (key.is_empty() || *key < self.key));
        if !ascends || text(&self.key)?.is_empty() || split(text(&self.key)?).is_none() {
            return Err(damaged("a key is not where it belongs"));
        }
        self.last = (kind, self.key.clone());
        Ok(())
    }

    fn known(&self, revision: u64) -> Result<(), SnapshotError> {
        if revision == 0 || revision > self.meta.revision {
            return Err(damaged("a record is newer than the snapshot"));
        }
        Ok(())
    }

    fn key(&mut self) -> Result<(), SnapshotError> {
        let length = self.length(LONGEST_KEY)?;
        let mut key = std::mem::take(&mut self.key);
        self.fill(&mut key, length)?;
        self.key = key;
        Ok(())
    }

    fn length(&mut self, most: u32) -> Result<u32, SnapshotError> {
        let length = u32::from_le_bytes(self.array()?);
        if length > most {
            return Err(damaged("a record is too long"));
        }
        Ok(length)
    }

    fn number(&mut self) -> Result<u64, SnapshotError> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = Vec::with_capacity(N);
        self.fill(&mut bytes, N as u32)?;
        let mut array = [0; N];
        array.copy_from_slice(&bytes);
        Ok(array)
    }

    /// Reads exactly so many bytes; takes no more memory than there is input.
    fn fill(&mut self, into: &mut Vec<u8>, length: u32) -> Result<(), SnapshotError> {
        into.clear();
        let read = (&mut self.input)
            .take(length.into())
            .read_to_end(into)
            .map_err(SnapshotError::io("reading the snapshot"))?;
        self.bytes += read as u64;
        self.digest.update(&*into);
        if read < length as usize {
            return Err(SnapshotError::Cut(self.bytes));
        }
        Ok(())
    }
}

fn damaged(why: &str) -> SnapshotError {
    SnapshotError::Damaged(why.to_owned())
}

fn text(bytes: &[u8]) -> Result<&str, SnapshotError> {
    std::str::from_utf8(bytes).map_err(|_| damaged("a key is not text"))
}
