//! Writing a file's contents: pieces of sparse members to their places, long runs of zeros as holes.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use crate::image::Error;
use crate::image::tarball::Member;

/// What is read at once, and the shortest run of zeros that becomes a hole: short ones would cost more extents than
/// they save blocks.
pub(super) const CHUNK: usize = 128 << 10;

/// Writes the contents of `member` into a new file. `buffer` has [`CHUNK`] bytes.
pub(super) fn write(
    file: &File,
    member: &Member,
    contents: &mut dyn Read,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let whole = [(0, member.size)];
    let (pieces, length) = match &member.sparse {
        Some(sparse) => (&sparse.pieces[..], sparse.length),
        None => (&whole[..], member.size),
    };
    let failed = |source: std::io::Error| match source.raw_os_error() {
        Some(errno) if errno == Errno::EFBIG as i32 => {
            Error::Invalid(format!("a file of {length} bytes is too large"))
        }
        _ => Error::stream("unpacking a file", source),
    };
    // Where the file ends so far: a hole at the end needs the length set.
    let mut end = 0;
    for (offset, count) in pieces {
        let (mut at, mut left) = (*offset, *count);
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let chunk = &mut buffer[..want];
            contents.read_exact(chunk).map_err(failed)?;
            if want < CHUNK || !is_zero(chunk) {
                file.write_all_at(chunk, at).map_err(failed)?;
                end = at + want as u64;
            }
            at += want as u64;
            left -= want as u64;
        }
    }
    if end != length {
        file.set_len(length).map_err(failed)?;
    }
    Ok(())
}

/// Looks at the ends first: nearly all contents are decided there.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0) && bytes.last() == Some(&0) && bytes.iter().all(|byte| *byte == 0)
}
