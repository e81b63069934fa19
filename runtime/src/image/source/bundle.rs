//! OCI runtime bundles: a directory with `config.json` and a root filesystem becomes an image of one layer.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{major, minor};
use serde::Deserialize;
use tar::{Builder, EntryType, Header};

use super::{Blob, Resolved, assemble, keep, to_json};
use crate::image::digest::Hashing;
use crate::image::limits::{self, Budget};
use crate::image::manifest::Platform;
use crate::image::{Digest, Error};

/// The parts of a runtime configuration (OCI runtime spec, config.md) that an image can say.
#[derive(Deserialize)]
struct Config {
    root: Option<Root>,
    process: Option<Process>,
}

#[derive(Deserialize)]
struct Root {
    path: PathBuf,
}

#[derive(Deserialize, Default)]
struct Process {
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    cwd: String,
    #[serde(default)]
    user: User,
}

#[derive(Deserialize, Default)]
struct User {
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

/// Packs the bundle's root filesystem into a layer and translates its configuration.
pub(super) fn read(bundle: &Path, staging: &Path, budget: &Budget) -> Result<Resolved, Error> {
    let directory = open_directory(bundle).map_err(|source| Error::path("opening", bundle, source))?;
    let file = File::from(open(
        &directory,
        Path::new("config.json"),
        OFlag::O_RDONLY | OFlag::O_NONBLOCK,
    )?);
    let metadata = file
        .metadata()
        .map_err(|source| Error::io("reading config.json", source))?;
    if !metadata.is_file() {
        return Err(Error::Invalid("config.json is not a regular file".to_owned()));
    }
    let bytes = limits::read_limited(file, limits::DOCUMENT, "config.json")?;
    let config: Config =
        serde_json::from_slice(&bytes).map_err(|source| Error::document("config.json", &source))?;
    let root = config
        .root
        .ok_or_else(|| Error::Invalid("config.json names no root".to_owned()))?
        .path;
    let root = open(&directory, &root, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let layer = pack(&root, staging, budget)?;
    let config = to_json(&image_config(&config.process.unwrap_or_default(), layer.digest))?;
    assemble(config, vec![layer], Vec::new())
}

fn image_config(process: &Process, diff_id: Digest) -> serde_json::Value {
    let host = Platform::host();
    let user = match (process.user.uid, process.user.gid) {
        (0, 0) => String::new(),
        (uid, gid) => format!("{uid}:{gid}"),
    };
    serde_json::json!({
        "architecture": host.architecture,
        "os": host.os,
        "config": {
            "User": user,
            "Env": process.env,
            "Cmd": process.args,
            "WorkingDir": process.cwd,
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })
}

/// Opens what the bundle has under this name: never a symlink, which could lead to the host's files, nor out of it.
fn open(bundle: &OwnedFd, path: &Path, flags: OFlag) -> Result<OwnedFd, Error> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    openat2(bundle, path, how)
        .map_err(|source| Error::io(format!("opening {} of the bundle", path.display()), source))
}

fn open_directory(path: &Path) -> std::io::Result<OwnedFd> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_DIRECTORY);
    options.open(path).map(OwnedFd::from)
}

/// A name for an open directory, and with one more component for what is in it: no other name of the bundle is
/// resolved on the way, whoever may be changing it.
fn by_descriptor(directory: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// Writes a tar of a directory: sorted, so that the same tree has the same digest.
fn pack(root: &OwnedFd, staging: &Path, budget: &Budget) -> Result<Blob, Error> {
    let temporary = tempfile::NamedTempFile::new_in(staging)
        .map_err(|source| Error::path("making a file in", staging, source))?;
    let mut packer = Packer {
        tar: Builder::new(Hashing::new(temporary)),
        budget,
        links: HashMap::new(),
    };
    let path = by_descriptor(root);
    let metadata = fs::metadata(&path).map_err(|source| Error::io("opening the root of a bundle", source))?;
    packer.add(&path, Path::new("./"), &metadata)?;
    packer.walk(root, Path::new(""))?;
    let written = packer
        .tar
        .into_inner()
        .map_err(|source| Error::io("writing a layer", source))?;
    keep(written, staging)
}

struct Packer<'a, W: Write> {
    tar: Builder<W>,
    budget: &'a Budget,
    /// Where a file with several names was first seen.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    fn walk(&mut self, directory: &OwnedFd, inside: &Path) -> Result<(), Error> {
        let directory = by_descriptor(directory);
        let failed = |source| Error::path("reading", inside, source);
        let mut names = fs::read_dir(&directory)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        names.sort();
        for name in names {
            let (path, inside) = (directory.join(&name), inside.join(&name));
            let metadata =
                fs::symlink_metadata(&path).map_err(|source| Error::path("reading", &path, source))?;
            self.add(&path, &inside, &metadata)?;
            if metadata.is_dir() {
                let mut options = File::options();
                options
                    .read(true)
                    .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
                let below = options
                    .open(&path)
                    .map_err(|source| Error::path("reading", &inside, source))?;
                self.walk(&below.into(), &inside)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, inside: &Path, metadata: &Metadata) -> Result<(), Error> {
        let failed = |source| Error::path("packing", inside, source);
        let kind = metadata.file_type();
        if kind.is_socket() {
            return Ok(());
        }
        let size = if kind.is_file() { metadata.len() } else { 0 };
        self.budget.charge(limits::INODE + size)?;
        self.xattrs(path, metadata).map_err(failed)?;

        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(metadata.mtime().try_into().unwrap_or(0));
        header.set_size(0);
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(path).map_err(failed)?;
            return self.tar.append_link(&mut header, inside, target).map_err(failed);
        }
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
        } else if kind.is_file() {
            if metadata.nlink() > 1 {
                if let Some(first) = self.links.get(&(metadata.dev(), metadata.ino())) {
                    header.set_entry_type(EntryType::Link);
                    return self.tar.append_link(&mut header, inside, first).map_err(failed);
                }
                self.links
                    .insert((metadata.dev(), metadata.ino()), inside.to_owned());
            }
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            let mut options = File::options();
            options
                .read(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
            let file = options.open(path).map_err(failed)?;
            return self
                .tar
                .append_data(&mut header, inside, std::io::Read::take(file, size))
                .map_err(failed);
        } else if kind.is_fifo() {
            header.set_entry_type(EntryType::Fifo);
        } else {
            let block = kind.is_block_device();
            header.set_entry_type(if block { EntryType::Block } else { EntryType::Char });
            header
                .set_device_major(major(metadata.rdev()) as u32)
                .map_err(failed)?;
            header
                .set_device_minor(minor(metadata.rdev()) as u32)
                .map_err(failed)?;
        }
        self.tar
            .append_data(&mut header, inside, std::io::empty())
            .map_err(failed)
    }

    /// File capabilities travel as pax records before the member.
    fn xattrs(&mut self, path: &Path, metadata: &Metadata) -> std::io::Result<()> {
        if metadata.is_file()
            && let Some(value) = xattr::get(path, "security.capability")?
        {
            self.tar
                .append_pax_extensions([("SCHILY.xattr.security.capability", value.as_slice())])?;
        }
        Ok(())
    }
}
