//! The named files of an image directory or archive.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use super::{Blob, stage};
use crate::image::limits::{self, Budget};
use crate::image::tarball::{self, Kind};
use crate::image::{Error, compression};

/// Documents and blobs by name.
pub(super) struct Files {
    staging: PathBuf,
    budget: Budget,
    place: Place,
}

enum Place {
    /// Names are resolved inside this directory.
    Directory(OwnedFd),
    /// A tar, already taken apart: its files are blobs in the staging directory.
    Archive(HashMap<String, Inside>),
}

/// A member of an archive.
enum Inside {
    File(Blob),
    /// `docker save` used to write a layer once and link to it.
    Link(String),
}

/// How many links are followed to a file in an archive.
const LINK_LIMIT: usize = 8;

impl Files {
    pub(super) fn directory(path: &Path, staging: &Path, budget: &Budget) -> Result<Self, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty())
            .map_err(|source| Error::path("opening", path, source))?;
        Ok(Self::new(staging, budget, Place::Directory(directory)))
    }

    /// Takes a tar apart, in one pass, so that it may be compressed.
    pub(super) fn archive(path: &Path, staging: &Path, budget: &Budget) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::path("opening", path, source))?;
        let (_, plain) = compression::decompress(BufReader::with_capacity(64 << 10, file))?;
        let (mut members, mut count) = (HashMap::new(), 0);
        tarball::for_each(plain, |member, contents| {
            count += 1;
            if count > limits::ARCHIVE_MEMBERS {
                return Err(Error::Invalid(format!(
                    "the archive has more than {} members",
                    limits::ARCHIVE_MEMBERS
                )));
            }
            let Some(name) = clean(&member.name) else {
                return Ok(());
            };
            budget.charge(limits::INODE)?;
            let inside = match member.kind {
                Kind::File => {
                    let blob = stage(contents, staging, budget)?;
                    if blob.size != member.size {
                        return Err(Error::Invalid("the archive ends within a file".to_owned()));
                    }
                    Inside::File(blob)
                }
                Kind::HardLink(target) => match clean(&target) {
                    Some(target) => Inside::Link(target),
                    None => return Ok(()),
                },
                Kind::Symlink(target) => match relative_link(&name, &target) {
                    Some(target) => Inside::Link(target),
                    None => return Ok(()),
                },
                _ => return Ok(()),
            };
            members.insert(name, inside);
            Ok(())
        })?;
        Ok(Self::new(staging, budget, Place::Archive(members)))
    }

    fn new(staging: &Path, budget: &Budget, place: Place) -> Self {
        Self {
            staging: staging.to_owned(),
            budget: budget.clone(),
            place,
        }
    }

    /// A small file, in memory.
    pub(super) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let file = match &self.place {
            Place::Directory(directory) => open_inside(directory, name)?,
            Place::Archive(members) => match find(members, name) {
                None => None,
                Some(blob) => Some(
                    File::open(&blob.path).map_err(|source| Error::path("opening", &blob.path, source))?,
                ),
            },
        };
        file.map(|file| limits::read_limited(file, limits::DOCUMENT, &format!("{name:.200?}")))
            .transpose()
    }

    /// Any file, as a blob.
    pub(super) fn blob(&self, name: &str) -> Result<Blob, Error> {
        let blob = match &self.place {
            Place::Directory(directory) => match open_inside(directory, name)? {
                Some(file) => Some(stage(file, &self.staging, &self.budget)?),
                None => None,
            },
            Place::Archive(members) => find(members, name).cloned(),
        };
        blob.ok_or_else(|| Error::Invalid(format!("it lacks the file {name:.200?}")))
    }
}

/// Opens a regular file by a name that the image chose.
fn open_inside(directory: &OwnedFd, name: &str) -> Result<Option<File>, Error> {
    // Not a fifo that blocks us, nor a device: O_NONBLOCK, then a check.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match openat2(directory, name, how) {
        Ok(file) => File::from(file),
        Err(nix::errno::Errno::ENOENT) => return Ok(None),
        Err(source) => return Err(Error::io(format!("opening {name:.200?} of the image"), source)),
    };
    let metadata = file
        .metadata()
        .map_err(|source| Error::io(format!("reading {name:.200?} of the image"), source))?;
    if !metadata.is_file() {
        return Err(Error::Invalid(format!("{name:.200?} is not a file")));
    }
    Ok(Some(file))
}

fn find<'a>(members: &'a HashMap<String, Inside>, name: &str) -> Option<&'a Blob> {
    let mut name = clean(name.as_bytes())?;
    for _ in 0..LINK_LIMIT {
        match members.get(&name)? {
            Inside::File(blob) => return Some(blob),
            Inside::Link(target) => name.clone_from(target),
        }
    }
    None
}

/// A name without `.`, `..` and doubled slashes; `None` if it leads out or is not text. Only a key, never a path.
fn clean(name: &[u8]) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in std::str::from_utf8(name).ok()?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What a symlink of that name points at.
fn relative_link(name: &str, target: &[u8]) -> Option<String> {
    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
    clean(&[directory.as_bytes(), b"/", target].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_within_the_archive() {
        assert_eq!(clean(b"./a//b/../c").unwrap(), "a/c");
        assert_eq!(clean(b"../a"), None);
        assert_eq!(
            relative_link("x/layer.tar", b"../y/layer.tar").unwrap(),
            "y/layer.tar"
        );
        assert_eq!(relative_link("layer.tar", b"../y"), None);
    }

    #[test]
    fn circular_links_find_nothing() {
        let members = HashMap::from([
            ("a".to_owned(), Inside::Link("b".to_owned())),
            ("b".to_owned(), Inside::Link("a".to_owned())),
        ]);
        assert!(find(&members, "a").is_none());
    }
}
