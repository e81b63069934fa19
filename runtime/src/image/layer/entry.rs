//! Making the members of a layer, with exactly their attributes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, futimens, makedev, mkdirat,
    mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};

use super::contents;
use super::path::{self, Marker};
use super::tree::{self, Tree};
use crate::image::Error;
use crate::image::limits::{self, Budget, INODE};
use crate::image::tarball::{Kind, Member};

/// One layer on its way to the disk.
pub(super) struct Unpacker {
    tree: Tree,
    budget: Budget,
    /// The directory of the last member: members come directory by directory.
    parent: Option<(Vec<OsString>, PathBuf, OwnedFd)>,
    /// Times of directories, set at the end because making files in them changes them.
    times: Vec<(PathBuf, TimeSpec)>,
    /// Bytes of the paths in `times`.
    remembered: usize,
    buffer: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new(tree: Tree, budget: Budget) -> Self {
        Self {
            tree,
            budget,
            parent: None,
            times: Vec::new(),
            remembered: 0,
            buffer: vec![0; contents::CHUNK],
        }
    }

    /// Makes one member.
    pub(super) fn member(&mut self, member: &Member, contents: &mut dyn Read) -> Result<(), Error> {
        if !matches!(member.kind, Kind::HardLink(_)) {
            self.budget.charge(INODE)?;
        }
        let mut components = path::components(&member.name)?;
        let Some(name) = components.pop() else {
            return self.root(member);
        };
        self.enter(&components)?;
        let Some((_, parent_path, parent)) = &self.parent else {
            return Ok(());
        };
        let failed = |source: Errno| Error::io(format!("unpacking {}", member_name(member)), source);
        match path::marker(&name)? {
            Marker::Reserved => return Ok(()),
            Marker::Opaque => return tree::set_opaque(reopen(parent, Path::new("")).map_err(failed)?),
            Marker::Whiteout(target) => return whiteout(parent, target).map_err(failed)?,
            Marker::None => {}
        }
        let node = parent_path.join(&name);
        let existing = existing(parent, &name).map_err(failed)?;
        let keeps = existing == Some(SFlag::S_IFDIR) && member.kind == Kind::Directory;
        // A later member replaces an earlier one, and an existing directory only takes new attributes.
        if let Some(kind) = existing.filter(|_| !keeps) {
            remove(parent, &name, kind)?;
            if kind == SFlag::S_IFDIR {
                self.times.retain(|(path, _)| !path.starts_with(&node));
            }
        }
        let mtime = TimeSpec::new(member.mtime.0, i64::from(member.mtime.1));
        match &member.kind {
            Kind::Directory => {
                if !keeps {
                    mkdirat(parent, name.as_os_str(), Mode::S_IRWXU).map_err(failed)?;
                }
                let directory = File::from(reopen(parent, Path::new(&name)).map_err(failed)?);
                attributes(&directory, member)?;
                // Also where it takes the place of a file that took the place of such a directory.
                if let Some(implicit) = self.tree.implicit.get_mut(&node) {
                    implicit.described = true;
                }
                // What it replaced hid the layers below; so must it.
                if existing.is_some() && !keeps {
                    tree::set_opaque(directory.into())?;
                }
                self.remember(node, mtime)?;
            }
            Kind::File => {
                let flags =
                    OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let file =
                    openat(parent, name.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?;
                let file = File::from(file);
                contents::write(&file, member, contents, &mut self.buffer)?;
                attributes(&file, member)?;
                futimens(&file, &mtime, &mtime).map_err(failed)?;
            }
            Kind::HardLink(target) => {
                let mut target = path::components(target)?;
                let last = target
                    .pop()
                    .ok_or_else(|| Error::Invalid("a hard link to the root".to_owned()))?;
                let (_, directory) = self.tree.directory(&target, false)?;
                // Without AT_SYMLINK_FOLLOW: a symlink is linked itself.
                match linkat(
                    &directory,
                    last.as_os_str(),
                    parent,
                    name.as_os_str(),
                    AtFlags::empty(),
                ) {
                    Err(Errno::ENOENT | Errno::EPERM) => {
                        self.tree.missed_lower = true;
                        return Err(Error::Invalid(
                            "a hard link's target is not a file in its layer".to_owned(),
                        ));
                    }
                    linked => linked.map_err(failed)?,
                }
            }
            Kind::Symlink(target) => {
                if target.is_empty() || target.len() > 4095 || target.contains(&0) {
                    return Err(Error::Invalid("a symbolic link has a bad target".to_owned()));
                }
                symlinkat(OsStr::from_bytes(target), parent, name.as_os_str()).map_err(failed)?;
                owner_and_time(parent, &name, member, &mtime).map_err(failed)?;
            }
            Kind::CharDevice(major, minor) => {
                node_of(parent, &name, SFlag::S_IFCHR, (*major, *minor), member, &mtime).map_err(failed)?;
            }
            Kind::BlockDevice(major, minor) => {
                node_of(parent, &name, SFlag::S_IFBLK, (*major, *minor), member, &mtime).map_err(failed)?;
            }
            Kind::Fifo => node_of(parent, &name, SFlag::S_IFIFO, (0, 0), member, &mtime).map_err(failed)?,
        }
        if existing.is_some() && !keeps {
            // The remembered directory may have been the one removed.
            self.parent = None;
        }
        Ok(())
    }

    /// Sets the times of the directories.
    pub(super) fn finish(self) -> Result<Tree, Error> {
        for (path, mtime) in self.times.iter().rev() {
            let directory = reopen(self.tree.own(), path)
                .map_err(|source| Error::io(format!("opening {} of a layer", path.display()), source))?;
            futimens(&directory, mtime, mtime)
                .map_err(|source| Error::io(format!("setting the time of {}", path.display()), source))?;
        }
        Ok(self.tree)
    }

    /// Whether unpacking stopped because a hard link's target may lie below a symlink of a lower layer.
    pub(super) fn missed_lower(&self) -> bool {
        self.tree.missed_lower
    }

    fn remember(&mut self, path: PathBuf, mtime: TimeSpec) -> Result<(), Error> {
        self.remembered += path.as_os_str().len() + size_of::<(PathBuf, TimeSpec)>();
        if self.remembered > limits::REMEMBERED {
            return Err(Error::Invalid("the layer has too many directories".to_owned()));
        }
        self.times.push((path, mtime));
        Ok(())
    }

    fn root(&mut self, member: &Member) -> Result<(), Error> {
        if member.kind != Kind::Directory {
            return Err(Error::Invalid(
                "the root of a layer is not a directory".to_owned(),
            ));
        }
        let root = reopen(self.tree.own(), Path::new(""))
            .map_err(|source| Error::io("opening the root of a layer", source))?;
        attributes(&File::from(root), member)?;
        self.remember(
            PathBuf::new(),
            TimeSpec::new(member.mtime.0, i64::from(member.mtime.1)),
        )
    }

    fn enter(&mut self, components: &[OsString]) -> Result<(), Error> {
        if self
            .parent
            .as_ref()
            .is_some_and(|(last, _, _)| last == components)
        {
            return Ok(());
        }
        let (path, directory) = self.tree.directory(components, true)?;
        self.parent = Some((components.to_vec(), path, directory));
        Ok(())
    }
}

fn member_name(member: &Member) -> String {
    String::from_utf8_lossy(&member.name).chars().take(200).collect()
}

/// A directory below `parent`, for reading and changing its attributes.
fn reopen(parent: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    tree::open(
        parent,
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW,
    )
}

fn existing(parent: &OwnedFd, name: &OsStr) -> nix::Result<Option<SFlag>> {
    match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(tree::file_type(&found))),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes what an earlier member of the same layer made.
fn remove(parent: &OwnedFd, name: &OsStr, kind: SFlag) -> Result<(), Error> {
    let removed = if kind == SFlag::S_IFDIR {
        // The descriptor's own path: `remove_dir_all` then walks with descriptors and follows no symlink.
        let path = Path::new("/proc/self/fd")
            .join(parent.as_raw_fd().to_string())
            .join(name);
        std::fs::remove_dir_all(path)
    } else {
        unlinkat(parent, name, UnlinkatFlags::NoRemoveDir).map_err(Into::into)
    };
    removed.map_err(|source| Error::io(format!("replacing {}", name.display()), source))
}

/// Hides `name` of the layers below. It concerns only those: what this layer has itself stays.
fn whiteout(parent: &OwnedFd, name: &OsStr) -> nix::Result<Result<(), Error>> {
    match existing(parent, name)? {
        None => mknodat(parent, name, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).map(Ok),
        Some(SFlag::S_IFDIR) => Ok(tree::set_opaque(reopen(parent, Path::new(name))?)),
        Some(_) => Ok(Ok(())),
    }
}

fn owner_and_time(parent: &OwnedFd, name: &OsStr, member: &Member, mtime: &TimeSpec) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
    fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    utimensat(parent, name, mtime, mtime, UtimensatFlags::NoFollowSymlink)
}

/// A device or fifo. Devices do no harm in the store: it is mounted nowhere but as a layer, `nodev` or under a
/// device filter.
fn node_of(
    parent: &OwnedFd,
    name: &OsStr,
    kind: SFlag,
    (major, minor): (u32, u32),
    member: &Member,
    mtime: &TimeSpec,
) -> nix::Result<()> {
    mknodat(
        parent,
        name,
        kind,
        Mode::S_IRUSR,
        makedev(major.into(), minor.into()),
    )?;
    owner_and_time(parent, name, member, mtime)?;
    // Just made and no symlink; nobody else writes to this directory.
    fchmodat(
        parent,
        name,
        Mode::from_bits_truncate(member.mode),
        FchmodatFlags::FollowSymlink,
    )
}

/// Owner, extended attributes and mode, in this order: changing the owner clears file capabilities and setuid.
fn attributes(file: &File, member: &Member) -> Result<(), Error> {
    let failed = |source| Error::io(format!("setting attributes of {}", member_name(member)), source);
    let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
    fchownat(file, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH).map_err(failed)?;
    for (name, value) in member.xattrs.iter().filter(|(name, _)| is_kept(name)) {
        match xattr::FileExt::set_xattr(file, name, value) {
            // A file system without them: containerd goes on as well.
            Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => {}
            // What the kernel does not take for a file capability.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                return Err(Error::Invalid(format!("{name} has a bad value")));
            }
            set => {
                set.map_err(|source| {
                    Error::io(format!("setting {name} of {}", member_name(member)), source)
                })?;
            }
        }
    }
    fchmod(file, Mode::from_bits_truncate(member.mode)).map_err(failed)
}

/// File capabilities and what users may set themselves. Never `trusted.`: that is how overlayfs is told what to
/// hide and where to look (whiteouts, `redirect`, `metacopy`); nor its names for unprivileged mounts, which a nested
/// engine might believe.
fn is_kept(xattr: &str) -> bool {
    xattr == "security.capability" || (xattr.starts_with("user.") && !xattr.starts_with("user.overlay."))
}
