//! Unpacking one layer into a directory that overlayfs stacks on the layers below.
//!
//! A layer's tar is hostile. Names are split into components first ([`path`]); directories are then reached only
//! through [`tree::Tree`], which walks with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)` and follows a symlink
//! by hand, inside the image; the last component is created, linked or removed relative to the directory's
//! descriptor and never followed. So there is no path that a layer could make us resolve on the host.

mod entry;
mod path;
mod tree;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::limits::Budget;
use super::{Digest, digest::Hashing};
use super::{Error, compression, digest, tarball};

/// Unpacks the layer in `stream`, packed or not, into the empty directory `into`. `lowers` are the unpacked layers
/// below, lowest first: a directory that a layer only passes through takes its attributes from there. Returns the
/// diffID of what was read.
pub(super) fn unpack(
    stream: impl Read,
    into: &Path,
    lowers: &[&Path],
    budget: &Budget,
) -> Result<Digest, Error> {
    let open = |path: &Path| -> Result<OwnedFd, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        nix::fcntl::open(path, flags, Mode::empty()).map_err(|source| Error::path("opening", path, source))
    };
    let own = open(into)?;
    let lowers = lowers
        .iter()
        .rev()
        .map(|path| open(path))
        .collect::<Result<_, _>>()?;
    let mut unpacker = entry::Unpacker::new(tree::Tree::new(own, lowers), budget.clone());

    let (_, plain) = compression::decompress(stream)?;
    let mut hashing: Hashing<_> = digest::Hashing::new(budget.reader(plain));
    tarball::for_each(&mut hashing, |member, contents| {
        let name = String::from_utf8_lossy(&member.name).into_owned();
        unpacker.member(&member, contents).map_err(|error| match error {
            Error::Invalid(what) => Error::Invalid(format!("{name:.200?}: {what}")),
            other => other,
        })
    })?;
    // The diffID covers the padding behind the end of the archive, too.
    std::io::copy(&mut hashing, &mut std::io::sink())
        .map_err(|source| Error::stream("reading a layer", source))?;
    unpacker.finish()?;
    Ok(hashing.finish().0)
}

#[cfg(test)]
mod tests;
