//! Sparse members: GNU tar's old format (type `S`) and its three pax formats, 0.0, 0.1 and 1.0 ("GNU tar: Storing
//! Sparse Files"). All say which pieces of a file are in the archive; the rest of the file is a hole.

use std::io::Read;

use tar::{GnuSparseHeader, Header};

use super::blocks::{BLOCK, Blocks};
use super::pax::number;
use crate::image::{Error, limits};

/// Pieces of a file that are in the archive, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::image) struct Sparse {
    /// Length of the file with its holes.
    pub length: u64,
    /// Offset in the file and length, ascending.
    pub pieces: Vec<(u64, u64)>,
}

impl Sparse {
    /// Checks that the pieces ascend, lie inside the file and make up the `stored` bytes of the archive.
    fn checked(self, stored: u64) -> Result<Self, Error> {
        let mut end = 0u64;
        let mut sum = 0u64;
        for (offset, length) in &self.pieces {
            let after = offset.checked_add(*length).ok_or_else(damaged)?;
            if *offset < end || after > self.length {
                return Err(damaged());
            }
            end = after;
            sum += length; // bounded by self.length
        }
        // A loff_t: what no file can have.
        if sum != stored || i64::try_from(self.length).is_err() {
            return Err(damaged());
        }
        Ok(self)
    }
}

fn damaged() -> Error {
    Error::Invalid("a sparse tar member has a damaged map".to_owned())
}

/// The old format: four pieces in the header, 21 in each block that follows.
pub(super) fn old(header: &Header, blocks: &mut Blocks<impl Read>, stored: u64) -> Result<Sparse, Error> {
    let gnu = header.as_gnu().ok_or_else(damaged)?;
    let mut sparse = Sparse {
        length: gnu.real_size().map_err(|_| damaged())?,
        pieces: Vec::new(),
    };
    add(&mut sparse, &gnu.sparse)?;
    let mut more = gnu.is_extended();
    while more {
        if sparse.pieces.len() as u64 * BLOCK as u64 / 21 > limits::EXTENSIONS {
            return Err(Error::Invalid(
                "a sparse tar member has too many pieces".to_owned(),
            ));
        }
        let extension = blocks.sparse_extension()?;
        let before = sparse.pieces.len();
        add(&mut sparse, &extension.sparse)?;
        more = extension.is_extended();
        // Else a stream of empty extension blocks would never end.
        if more && sparse.pieces.len() == before {
            return Err(damaged());
        }
    }
    sparse.checked(stored)
}

fn add(sparse: &mut Sparse, entries: &[GnuSparseHeader]) -> Result<(), Error> {
    for entry in entries.iter().filter(|entry| !entry.is_empty()) {
        let offset = entry.offset().map_err(|_| damaged())?;
        let length = entry.length().map_err(|_| damaged())?;
        sparse.pieces.push((offset, length));
    }
    Ok(())
}

/// What pax records say of a sparse member.
#[derive(Debug, Default)]
pub(super) struct Records {
    major: Option<u64>,
    length: Option<u64>,
    /// Format 0.0: an offset whose length is yet to come.
    offset: Option<u64>,
    pieces: Option<Vec<(u64, u64)>>,
}

impl Records {
    /// Takes a record whose key began with `GNU.sparse.`; `GNU.sparse.name` is not for here.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match key {
            b"major" => self.major = Some(number(value)?),
            b"size" | b"realsize" => self.length = Some(number(value)?),
            b"offset" if self.offset.is_none() => self.offset = Some(number(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(damaged)?;
                self.pieces.get_or_insert_default().push((offset, number(value)?));
            }
            b"map" => {
                let numbers = value
                    .split(|byte| *byte == b',')
                    .filter(|text| !text.is_empty())
                    .map(number)
                    .collect::<Result<Vec<_>, _>>()?;
                self.pieces = Some(pairs(&numbers)?);
            }
            // A count that the map says once more, and a version that is always 0.
            b"numblocks" | b"minor" => {}
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// The map of a member with `stored` bytes in the archive, and how many of these are its contents. `None` if it
    /// is not sparse. Format 1.0 has the map at the start of the contents.
    pub(super) fn finish(
        self,
        contents: &mut impl Read,
        stored: u64,
    ) -> Result<Option<(Sparse, u64)>, Error> {
        let Self {
            major,
            length,
            offset,
            pieces,
        } = self;
        let Some(length) = length else {
            return if major.is_some() || pieces.is_some() || offset.is_some() {
                Err(damaged())
            } else {
                Ok(None)
            };
        };
        let (pieces, stored) = match (major, pieces) {
            (None | Some(0), pieces) => (pieces.unwrap_or_default(), stored),
            (Some(1), None) => {
                let (pieces, taken) = leading_map(&mut contents.take(stored))?;
                (pieces, stored.checked_sub(taken).ok_or_else(damaged)?)
            }
            _ => return Err(damaged()),
        };
        let sparse = Sparse { length, pieces }.checked(stored)?;
        Ok(Some((sparse, stored)))
    }
}

/// Decimal numbers, one a line: how many pieces, then each one's offset and length; filled up to whole blocks.
fn leading_map(contents: &mut impl Read) -> Result<(Vec<(u64, u64)>, u64), Error> {
    let (mut numbers, mut text, mut taken) = (Vec::new(), Vec::new(), 0);
    let mut wanted = None;
    loop {
        let mut block = [0; BLOCK];
        contents
            .read_exact(&mut block)
            .map_err(|source| Error::stream("reading a sparse map", source))?;
        taken += BLOCK as u64;
        if taken > limits::EXTENSIONS {
            return Err(Error::Invalid(
                "a sparse tar member has too many pieces".to_owned(),
            ));
        }
        for byte in block {
            if byte != b'\n' {
                text.push(byte);
                continue;
            }
            numbers.push(number(&text)?);
            text.clear();
            if wanted.is_none() {
                let count = usize::try_from(numbers[0]).map_err(|_| damaged())?;
                wanted = Some(
                    count
                        .checked_mul(2)
                        .and_then(|n| n.checked_add(1))
                        .ok_or_else(damaged)?,
                );
            }
            if wanted == Some(numbers.len()) {
                return Ok((pairs(&numbers[1..])?, taken));
            }
        }
    }
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>, Error> {
    if !numbers.len().is_multiple_of(2) {
        return Err(damaged());
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
