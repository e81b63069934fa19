//! A layer being unpacked on top of the layers below, seen as overlayfs will show them.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};

use super::path;
use crate::image::{Error, limits};

/// As in the kernel's own path walk.
const SYMLINK_LIMIT: usize = 40;
/// Marks a directory that hides what is below it (kernel: Documentation/filesystems/overlayfs.rst).
pub(super) const OPAQUE: &str = "trusted.overlay.opaque";

/// The layers, the one being unpacked first, then downwards.
pub(super) struct Tree {
    layers: Vec<OwnedFd>,
    /// Directories that were made because a name leads through them: only kept when there are no layers below, for
    /// [`super::settle`].
    pub(super) implicit: BTreeMap<PathBuf, Implicit>,
    /// Bytes of these paths.
    remembered: usize,
    /// Whether a name led to something that only a layer below could have.
    pub(super) missed_lower: bool,
}

/// A directory that was made because a name leads through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) struct Implicit {
    /// A later member gave it attributes.
    pub described: bool,
    /// It took the place of a whiteout: what is below does not matter.
    pub replaced: bool,
}

/// What a path without symlinks names, seen from the top.
pub(super) enum Found {
    Nothing,
    Directory { own: bool, attributes: FileStat },
    Symlink(OsString),
    Other,
}

impl Tree {
    pub(super) fn new(own: OwnedFd, lowers: Vec<OwnedFd>) -> Self {
        let mut layers = vec![own];
        layers.extend(lowers);
        Self {
            layers,
            implicit: BTreeMap::new(),
            remembered: 0,
            missed_lower: false,
        }
    }

    /// The directory of the layer being unpacked.
    pub(super) fn own(&self) -> &OwnedFd {
        &self.layers[0]
    }

    /// Opens the directory that `components` name in the layer being unpacked. Symlinks are followed within the
    /// image, in the layers below too; with `create`, directories that only lower layers have are made here with
    /// the same attributes, and missing ones with mode 0755. Returns its path without symlinks as well.
    pub(super) fn directory(
        &mut self,
        components: &[OsString],
        create: bool,
    ) -> Result<(PathBuf, OwnedFd), Error> {
        let direct: PathBuf = components.iter().collect();
        // Nearly always: the directories are here, and none is a symlink.
        if let Ok(directory) = open(self.own(), &direct, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            return Ok((direct, directory));
        }
        let path = self.resolve(components, create)?;
        let directory = open(self.own(), &path, OFlag::O_PATH | OFlag::O_DIRECTORY)
            .map_err(|source| Error::io(format!("opening {} of a layer", path.display()), source))?;
        Ok((path, directory))
    }

    fn resolve(&mut self, components: &[OsString], create: bool) -> Result<PathBuf, Error> {
        let mut todo: VecDeque<OsString> = components.iter().cloned().collect();
        let mut path = PathBuf::new();
        let mut links = 0;
        while let Some(component) = todo.pop_front() {
            if component == ".." {
                path.pop();
                continue;
            }
            let next = path.join(&component);
            match self.lookup(&next)? {
                Found::Directory { own: true, .. } => path = next,
                Found::Directory { attributes, .. } if create => {
                    self.make_directory(&next, Some(&attributes))?;
                    path = next;
                }
                Found::Nothing if create => {
                    let replaced = self.make_directory(&next, None)?;
                    self.remember(&next, replaced)?;
                    path = next;
                }
                Found::Symlink(target) => {
                    links += 1;
                    if links > SYMLINK_LIMIT {
                        return Err(Error::Invalid("too many symbolic links in a name".to_owned()));
                    }
                    if target.as_bytes().starts_with(b"/") {
                        path = PathBuf::new();
                    }
                    for component in path::split(target.as_bytes())?.into_iter().rev() {
                        todo.push_front(component);
                    }
                }
                Found::Other => {
                    return Err(Error::Invalid(
                        "a name goes through something that is no directory".to_owned(),
                    ));
                }
                Found::Directory { .. } | Found::Nothing => {
                    self.missed_lower = true;
                    return Err(Error::Invalid(
                        "a hard link's target is not in its layer".to_owned(),
                    ));
                }
            }
        }
        Ok(path)
    }

    fn remember(&mut self, path: &Path, replaced: bool) -> Result<(), Error> {
        if self.layers.len() > 1 {
            return Ok(());
        }
        self.remembered += path.as_os_str().len() + 2 * size_of::<PathBuf>();
        if self.remembered > limits::REMEMBERED {
            return Err(Error::Invalid("the layer has too many directories".to_owned()));
        }
        let implicit = Implicit {
            described: false,
            replaced,
        };
        self.implicit.insert(path.to_owned(), implicit);
        Ok(())
    }

    /// Looks a path up as overlayfs would: the first layer that has it decides, unless a layer above it has a
    /// whiteout, an opaque directory or something else than a directory on the way.
    pub(super) fn lookup(&self, path: &Path) -> Result<Found, Error> {
        let failed = |source| Error::io(format!("looking up {} of a layer", path.display()), source);
        'layers: for (depth, layer) in self.layers.iter().enumerate() {
            let mut hides_below = false;
            let mut prefix = PathBuf::new();
            let count = path.components().count();
            for (index, component) in path.components().enumerate() {
                prefix.push(component);
                let last = index + 1 == count;
                let node = match open(layer, &prefix, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
                    Ok(node) => node,
                    Err(Errno::ENOENT) if hides_below => return Ok(Found::Nothing),
                    Err(Errno::ENOENT) => continue 'layers,
                    Err(source) => return Err(failed(source)),
                };
                let attributes = fstat(&node).map_err(failed)?;
                match file_type(&attributes) {
                    SFlag::S_IFDIR if last => {
                        return Ok(Found::Directory {
                            own: depth == 0,
                            attributes,
                        });
                    }
                    SFlag::S_IFDIR => hides_below |= is_opaque(layer, &prefix),
                    SFlag::S_IFLNK if last => {
                        return readlinkat(&node, "").map(Found::Symlink).map_err(failed);
                    }
                    SFlag::S_IFCHR if attributes.st_rdev == 0 => return Ok(Found::Nothing),
                    _ if last => return Ok(Found::Other),
                    // `path` has no symlinks, so a layer above decided this component already.
                    _ => return Ok(Found::Nothing),
                }
            }
        }
        Ok(Found::Nothing)
    }

    /// True if it took the place of a whiteout.
    fn make_directory(&self, path: &Path, like: Option<&FileStat>) -> Result<bool, Error> {
        let failed = |source| Error::io(format!("making {} of a layer", path.display()), source);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(false);
        };
        let parent = open(self.own(), parent, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(failed)?;
        let mut hides_below = false;
        match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
            // A whiteout of this layer, which the directory replaces: then nothing below shows through.
            Err(Errno::EEXIST) => {
                nix::unistd::unlinkat(&parent, name, nix::unistd::UnlinkatFlags::NoRemoveDir)
                    .map_err(failed)?;
                mkdirat(&parent, name, Mode::from_bits_truncate(0o755)).map_err(failed)?;
                hides_below = true;
            }
            made => made.map_err(failed)?,
        }
        let directory = open(
            &parent,
            Path::new(name),
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW,
        )
        .map_err(failed)?;
        let (uid, gid, mode) = like.map_or((0, 0, 0o755), |like| {
            (like.st_uid, like.st_gid, like.st_mode & 0o7777)
        });
        own(&directory, uid, gid, mode).map_err(failed)?;
        if hides_below {
            set_opaque(directory)?;
        }
        Ok(hides_below)
    }
}

/// Gives a directory its owner and mode.
pub(super) fn own(directory: &OwnedFd, uid: u32, gid: u32, mode: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    fchownat(directory, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    fchmod(directory, Mode::from_bits_truncate(mode))
}

/// Opens a path below a directory: no symlinks, no `..` out of it, no other mount.
pub(super) fn open(directory: impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    );
    openat2(directory, path, how)
}

/// The type bits of a mode.
pub(super) fn file_type(attributes: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(attributes.st_mode) & SFlag::S_IFMT
}

/// Makes a directory hide what the layers below have in its place.
pub(super) fn set_opaque(directory: OwnedFd) -> Result<(), Error> {
    xattr::FileExt::set_xattr(&std::fs::File::from(directory), OPAQUE, b"y")
        .map_err(|source| Error::io(format!("setting {OPAQUE}"), source))
}

/// Whether a directory hides what the layers below have in its place.
pub(super) fn is_opaque(layer: &OwnedFd, path: &Path) -> bool {
    open(
        layer,
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW,
    )
    .ok()
    .and_then(|directory| {
        xattr::FileExt::get_xattr(&std::fs::File::from(directory), OPAQUE)
            .ok()
            .flatten()
    })
    .is_some_and(|value| value == b"y")
}
