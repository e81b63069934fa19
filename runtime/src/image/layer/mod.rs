//! Unpacking one layer into a directory that overlayfs stacks on the layers below.
//!
//! A layer's tar is hostile. Names are split into components first ([`path`]); directories are then reached only
//! through [`tree::Tree`], which walks with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)` and follows a symlink
//! by hand, inside the image; the last component is created, linked or removed relative to the directory's
//! descriptor and never followed. So there is no path that a layer could make us resolve on the host.
//!
//! What a layer means depends a little on those below: `lib/x` goes to `usr/lib/x` if `lib` is a symlink there, and a
//! directory that the layer only passes through looks as it does there. Still the layers of an image are unpacked at
//! the same time: each [`alone`], and when those below are done, [`settle`] gives passed directories their attributes,
//! or says that this layer is one of the few that must be [unpacked](unpack) again in sight of the others.

mod contents;
mod entry;
mod path;
mod settle;
mod tree;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::digest::Hashing;
use super::limits::Budget;
use super::{Digest, Error, compression, tarball};
pub(super) use settle::{Settled, settle};
pub(super) use tree::Implicit;

/// A layer that was unpacked without looking at those below.
#[derive(Debug)]
pub(super) struct Alone {
    /// DiffID of what was read; `None` if unpacking stopped because it needs the layers below.
    pub diff_id: Option<Digest>,
    /// Directories that names lead through.
    pub implicit: BTreeMap<PathBuf, Implicit>,
}

/// Unpacks the layer in `stream`, packed or not, into the empty directory `into`. `lowers` are the unpacked layers
/// below, lowest first. Returns the diffID of what was read.
pub(super) fn unpack(
    stream: impl Read,
    into: impl AsFd,
    lowers: &[&Path],
    budget: &Budget,
) -> Result<Digest, Error> {
    let lowers = lowers
        .iter()
        .rev()
        .map(|path| open(path))
        .collect::<Result<_, _>>()?;
    let mut unpacker = unpacker(into, lowers, budget)?;
    let diff_id = members(stream, &mut unpacker, budget)?;
    unpacker.finish()?;
    Ok(diff_id)
}

/// As [`unpack`], as if there were nothing below.
pub(super) fn alone(stream: impl Read, into: impl AsFd, budget: &Budget) -> Result<Alone, Error> {
    let mut unpacker = unpacker(into, Vec::new(), budget)?;
    match members(stream, &mut unpacker, budget) {
        Ok(diff_id) => Ok(Alone {
            diff_id: Some(diff_id),
            implicit: unpacker.finish()?.implicit,
        }),
        Err(_) if unpacker.missed_lower() => Ok(Alone {
            diff_id: None,
            implicit: BTreeMap::new(),
        }),
        Err(error) => Err(error),
    }
}

/// Opens a layer's directory.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty()).map_err(|source| Error::path("opening", path, source))
}

fn unpacker(into: impl AsFd, lowers: Vec<OwnedFd>, budget: &Budget) -> Result<entry::Unpacker, Error> {
    let own = into
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Error::io("opening a layer", source))?;
    Ok(entry::Unpacker::new(tree::Tree::new(own, lowers), budget.clone()))
}

fn members(stream: impl Read, unpacker: &mut entry::Unpacker, budget: &Budget) -> Result<Digest, Error> {
    let (_, plain) = compression::decompress(stream)?;
    let mut hashing: Hashing<_> = Hashing::new(budget.reader(plain));
    tarball::for_each(&mut hashing, |member, contents| {
        unpacker.member(&member, contents).map_err(|error| match error {
            Error::Invalid(what) => {
                let name = String::from_utf8_lossy(&member.name);
                Error::Invalid(format!("{name:.200?}: {what}"))
            }
            other => other,
        })
    })?;
    // The diffID covers the padding behind the end of the archive, too.
    std::io::copy(&mut hashing, &mut std::io::sink())
        .map_err(|source| Error::stream("reading a layer", source))?;
    Ok(hashing.finish().0)
}

#[cfg(test)]
mod tests;
