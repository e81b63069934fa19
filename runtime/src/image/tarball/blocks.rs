//! The blocks of a tar stream: one checked header after the other, with the contents in between.
//!
//! Not the `tar` crate's reader: that one does not see the extension blocks of old GNU sparse members when asked for
//! raw members, and lets a link have contents that Go's reader, which every other engine uses, does not expect. Two
//! readers that disagree where a member ends see two images in one digest.

use std::io::Read;

use tar::{GnuExtSparseHeader, Header};

use crate::image::Error;

/// Size of a block.
pub(super) const BLOCK: usize = 512;

/// A tar stream, positioned in the contents of a member.
pub(super) struct Blocks<R> {
    inner: R,
    /// Bytes of the member's contents that have not been read.
    left: u64,
    /// Bytes that fill up its last block.
    padding: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            padding: 0,
        }
    }

    /// Passes over what is left of the last member, and reads the next header. `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Header>, Error> {
        self.skip()?;
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; BLOCK] {
            // Two blocks of zeros end an archive; many writers leave out the second.
            return match self.block()? {
                None => Ok(None),
                Some(second) if second == [0; BLOCK] => Ok(None),
                Some(_) => Err(Error::Invalid("a tar archive goes on after its end".to_owned())),
            };
        }
        let header = Header::from_byte_slice(&block);
        if !checksum_fits(&block, header) {
            return Err(Error::Invalid(
                "a tar header has a wrong checksum: the archive is damaged, or no tar".to_owned(),
            ));
        }
        Ok(Some(header.clone()))
    }

    /// A further block of sparse segments, which stands between an old GNU header and its contents.
    pub(super) fn sparse_extension(&mut self) -> Result<GnuExtSparseHeader, Error> {
        let block = self.block()?.ok_or_else(truncated)?;
        let mut extension = GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(&block);
        Ok(extension)
    }

    /// Says how long the contents are that follow the header just read.
    pub(super) fn contents(&mut self, size: u64) -> Result<(), Error> {
        self.padding = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| Error::Invalid(format!("a tar member has {size} bytes")))?
            - size;
        self.left = size;
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Error> {
        let rest = self.left + self.padding;
        let passed = std::io::copy(&mut self.inner.by_ref().take(rest), &mut std::io::sink())
            .map_err(|source| Error::stream("reading tar", source))?;
        if passed != rest {
            return Err(truncated());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// One block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(truncated()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::stream("reading tar", source)),
            }
        }
        Ok(Some(block))
    }
}

/// The contents of the current member.
impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(truncated().into_io());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn truncated() -> Error {
    Error::Invalid("a tar archive ends within a file".to_owned())
}

/// The sum of the header's bytes, the checksum itself counted as spaces; old writers summed signed bytes.
fn checksum_fits(block: &[u8; BLOCK], header: &Header) -> bool {
    let Ok(wanted) = header.cksum() else {
        return false;
    };
    let bytes = || {
        block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte })
    };
    let unsigned: u32 = bytes().map(u32::from).sum();
    let signed: i32 = bytes().map(|byte| i32::from(byte.cast_signed())).sum();
    wanted == unsigned || i64::from(wanted) == i64::from(signed)
}
