//! Fitting a layer that was unpacked alone onto the layers below.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::open;
use super::tree::{self, Found, Implicit, Tree};
use crate::image::Error;

/// Whether a layer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Settled {
    /// It is as if it had been unpacked in sight of the layers below.
    Done,
    /// A name of it leads through a symlink or a file of the layers below: unpack it again.
    Again,
}

/// Gives the `implicit` directories of the layer `own` the attributes that they have below. `lowers` are the finished
/// layers, lowest first.
pub(in crate::image) fn settle(
    own: impl AsFd,
    lowers: &[&Path],
    implicit: &BTreeMap<PathBuf, Implicit>,
) -> Result<Settled, Error> {
    let mut below = lowers
        .iter()
        .rev()
        .map(|path| open(path))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter();
    let Some(highest) = below.next() else {
        return Ok(Settled::Done);
    };
    let below = Tree::new(highest, below.collect());
    let own = own
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Error::io("opening a layer", source))?;
    // Parents come before their children, so the first that does not fit is found before anything below it.
    for (path, made) in implicit {
        if made.replaced {
            continue;
        }
        // Also where an opaque directory of this layer hides it, or a later member took its place: the name that led
        // here may have come before.
        let found = below.lookup(path)?;
        if matches!(found, Found::Symlink(_) | Found::Other) {
            return Ok(Settled::Again);
        }
        let failed = |source| Error::io(format!("opening {} of a layer", path.display()), source);
        let directory = match tree::open(
            &own,
            path,
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW,
        ) {
            Ok(directory) => directory,
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR | nix::errno::Errno::ELOOP) => {
                continue;
            }
            Err(source) => return Err(failed(source)),
        };
        let hidden = || {
            path.ancestors()
                .skip(1)
                .any(|directory| tree::is_opaque(&own, directory))
        };
        match found {
            Found::Directory { attributes, .. } if !made.described && !hidden() => tree::own(
                &directory,
                attributes.st_uid,
                attributes.st_gid,
                attributes.st_mode & 0o7777,
            )
            .map_err(failed)?,
            _ => {}
        }
    }
    Ok(Settled::Done)
}
