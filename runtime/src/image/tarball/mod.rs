//! Reading a tar stream (POSIX.1-2001 pax, GNU long names, GNU sparse files) from somebody who may wish us harm.
//!
//! - [`blocks`]: headers and contents, in the order of the stream.
//! - [`pax`]: what extensions say of the next member.
//! - [`sparse`]: maps of files with holes.

mod blocks;
mod pax;
mod sparse;

use std::io::Read;

use tar::{EntryType, Header};

use super::{Error, limits};
use blocks::Blocks;
use pax::Extensions;
pub(super) use sparse::Sparse;

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
    /// Length of the contents that are in the archive.
    pub size: u64,
    /// Where these belong in the file, if it has holes.
    pub sparse: Option<Sparse>,
    /// Extended attributes (`SCHILY.xattr.` records).
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Calls `each` with every member and its contents. `each` need not read them.
pub(super) fn for_each(
    reader: impl Read,
    mut each: impl FnMut(Member, &mut dyn Read) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut blocks = Blocks::new(reader);
    let mut pending = Extensions::default();
    let mut members = 0;
    while let Some(header) = blocks.next()? {
        let kind = header.entry_type();
        let size = number(&header.as_old().size, || header.entry_size())?;
        let describes = matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if describes {
            blocks.contents(size)?;
        }
        match kind {
            EntryType::GNULongName => pending.name = Some(pending.long_name(&mut blocks)?),
            EntryType::GNULongLink => pending.link = Some(pending.long_name(&mut blocks)?),
            EntryType::XHeader => {
                let records = pending.read(&mut blocks)?;
                pending.records(&records)?;
            }
            // Defaults for a whole archive: only git writes them, with a comment.
            EntryType::XGlobalHeader => {}
            _ => {
                members += 1;
                if members > limits::MEMBERS {
                    return Err(Error::Invalid(format!("an archive has over {members} members")));
                }
                let member = member(std::mem::take(&mut pending), &header, size, &mut blocks)?;
                each(member, &mut blocks)?;
            }
        }
    }
    Ok(())
}

/// Builds a member, and leaves `blocks` at the start of its contents.
fn member(
    said: Extensions,
    header: &Header,
    size: u64,
    blocks: &mut Blocks<impl Read>,
) -> Result<Member, Error> {
    // A size that does not fit the header is in a record, and the header has 0. Other readers' sizes must not differ
    // from ours: they would see another archive in the same bytes (CVE-2025-62518).
    if size != 0 && said.size.is_some_and(|pax| pax != size) {
        return Err(Error::Invalid("a tar member has two different sizes".to_owned()));
    }
    let size = said.size.unwrap_or(size);
    let name = said
        .sparse_name
        .or(said.name)
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let link = said
        .link
        .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let link = || {
        link.clone()
            .ok_or_else(|| Error::Invalid("a tar link has no target".to_owned()))
    };
    let device = || -> Result<(u32, u32), Error> {
        let both = (header.as_ustar().map(|h| (h.dev_major, h.dev_minor)))
            .or_else(|| header.as_gnu().map(|h| (h.dev_major, h.dev_minor)));
        let Some((major, minor)) = both else {
            return Ok((0, 0)); // before POSIX, there was no place for them
        };
        let part = |field: &[u8], value: &dyn Fn() -> std::io::Result<Option<u32>>| {
            number(field, || value().map(|number| number.unwrap_or_default().into()))
        };
        let (major, minor) = (
            part(&major, &|| header.device_major())?,
            part(&minor, &|| header.device_minor())?,
        );
        Ok((major as u32, minor as u32)) // from u32
    };
    let mut sparse = None;
    let kind = match header.entry_type() {
        // Before POSIX, a directory was a file whose name ends in a slash.
        EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::GNUSparse => {
            sparse = Some(sparse::old(header, blocks, size)?);
            Kind::File
        }
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link()?),
        EntryType::Link => Kind::HardLink(link()?),
        EntryType::Char => device().map(|(major, minor)| Kind::CharDevice(major, minor))?,
        EntryType::Block => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        EntryType::Fifo => Kind::Fifo,
        other => {
            return Err(Error::Invalid(format!(
                "a tar member has the unknown type {:?}",
                other.as_byte()
            )));
        }
    };
    // As in Go's reader: only files have contents, whatever the size says.
    let regular = matches!(
        header.entry_type(),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
    );
    let mut size = if regular { size } else { 0 };
    blocks.contents(size)?;
    if kind == Kind::File
        && let Some((map, stored)) = said.sparse.finish(blocks, size)?
    {
        sparse = Some(map);
        size = stored;
    }
    let old = header.as_old();
    let id = |pax: Option<u64>, field: &[u8], own: &dyn Fn() -> std::io::Result<u64>| -> Result<u32, Error> {
        let id = pax.map_or_else(|| number(field, own), Ok)?;
        u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| Error::Invalid(format!("a tar member is owned by {id}")))
    };
    Ok(Member {
        mode: number(&old.mode, || header.mode().map(u64::from))? as u32 & 0o7777,
        uid: id(said.uid, &old.uid, &|| header.uid())?,
        gid: id(said.gid, &old.gid, &|| header.gid())?,
        mtime: if let Some(mtime) = said.mtime {
            mtime
        } else {
            let mtime = number(&old.mtime, || header.mtime())?;
            (mtime.try_into().unwrap_or(0), 0)
        },
        size,
        sparse,
        xattrs: said.xattrs,
        name,
        kind,
    })
}

/// A numeric field of a header. One without digits is 0, as for every other reader.
fn number(field: &[u8], value: impl Fn() -> std::io::Result<u64>) -> Result<u64, Error> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(0);
    }
    value().map_err(|source| Error::stream("a tar header", source))
}

#[cfg(test)]
mod tests;
