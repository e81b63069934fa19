//! Overlay mounts that must be made inside a mount namespace of their own, which is gone again at once: a thread leaves
//! the process's namespace, mounts, takes a detached copy of the mount along and ends.
//!
//! - Before Linux 6.5, fsconfig(2) takes all layers in one value of 255 bytes, enough for 14. mount(2) takes a page, but
//!   it attaches what it mounts: nobody else is to see that.
//! - Id-mapped layers (Linux 5.19) are mounts, and until 6.15 overlayfs takes only mounts that are attached in the
//!   caller's namespace.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use super::IdMapping;
use super::overlay::{either, joined as options, name, one_by_one, open};
use crate::node::Error;
use crate::sys::{self, Attributes, MountFs};

/// Runs `make` on a thread that has a mount namespace of its own.
fn in_private_namespace(make: impl FnOnce() -> Result<OwnedFd, Error> + Send) -> Result<OwnedFd, Error> {
    let run = || {
        // Leaves the other threads' namespace, root and working directory alone (unshare(2), CLONE_FS).
        sys::unshare(libc::CLONE_NEWNS).map_err(Error::io("leaving the mount namespace"))?;
        sys::make_tree_private().map_err(Error::io("making mounts private"))?;
        make()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, run);
        let thread = thread.map_err(Error::io("starting a thread"))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::Invalid("mounting the root filesystem panicked".to_owned())))
    })
}

/// Mounts with all layers in one option, highest first. The directory has `upper` and `work`.
pub(super) fn joined(stack: &[&Path], directory: &Path) -> Result<OwnedFd, Error> {
    in_private_namespace(|| {
        let layers = stack
            .iter()
            .map(|layer| open_here(layer))
            .collect::<Result<Vec<_>, _>>()?;
        let (upper, work) = (open(&directory.join("upper"))?, open(&directory.join("work"))?);
        attached(&layers, &upper, &work, directory)
    })
}

/// Opens a layer in this mount namespace. One that is named by a descriptor (a bundle's) is a mount of the process's own
/// namespace, which overlayfs would refuse: it is opened anew by its path, and must be the same directory.
fn open_here(layer: &Path) -> Result<OwnedFd, Error> {
    let opened = open(layer)?;
    if !layer.starts_with("/proc/self/fd") {
        return Ok(opened);
    }
    let path = std::fs::read_link(layer).map_err(Error::io("finding a bundle's root"))?;
    let again = open(&path)?;
    let identity = |fd: &OwnedFd| sys::stat_fd(fd.as_fd()).map(|stat| (stat.device, stat.inode));
    if identity(&opened).is_err() || identity(&opened) != identity(&again) {
        return Err(Error::Invalid(format!(
            "the root {} of a bundle was replaced meanwhile",
            path.display()
        )));
    }
    Ok(again)
}

/// Mounts over `target` with mount(2), and takes a detached copy.
fn attached(layers: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd, target: &Path) -> Result<OwnedFd, Error> {
    let lowers: Vec<PathBuf> = layers.iter().map(name).collect();
    let options = options(&lowers, &name(upper), &name(work))?;
    nix::mount::mount(
        Some("overlay"),
        target,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_c_str()),
    )
    .map_err(Error::io("mounting the root filesystem"))?;
    let mounted = open(target)?;
    sys::open_tree(mounted.as_fd(), false).map_err(Error::io("detaching the root filesystem"))
}

/// Mounts with every layer showing the ids of a user namespace. The writable layer needs no mapping: what the container
/// writes has the ids it has outside already.
pub(super) fn mapped(stack: &[&Path], directory: &Path, mapping: &IdMapping<'_>) -> Result<OwnedFd, Error> {
    in_private_namespace(|| {
        // Opened before they are covered.
        let (upper, work) = (open(&directory.join("upper"))?, open(&directory.join("work"))?);
        let copies = stack
            .iter()
            .map(|layer| map(layer, mapping))
            .collect::<Result<Vec<_>, _>>()?;
        // Somewhere to attach them, seen by this thread only.
        let tmpfs = MountFs::open(c"tmpfs")
            .and_then(|fs| fs.mount(Attributes::default()))
            .map_err(Error::io("making a place for id-mapped layers"))?;
        let covered = open(directory)?;
        sys::move_mount(tmpfs.as_fd(), covered.as_fd())
            .map_err(Error::io("covering the container's directory"))?;
        let mut layers = Vec::with_capacity(copies.len());
        for (number, copy) in copies.iter().enumerate() {
            let point = directory.join(number.to_string());
            std::fs::create_dir(&point).map_err(Error::io("making a mount point"))?;
            let at = open(&point)?;
            sys::move_mount(copy.as_fd(), at.as_fd()).map_err(Error::io("attaching an id-mapped layer"))?;
            layers.push(open(&point)?);
        }
        let names: Vec<PathBuf> = layers.iter().map(name).collect();
        let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
        either(
            || one_by_one(&names, &name(&upper), &name(&work)),
            || {
                let target = directory.join("root");
                std::fs::create_dir(&target).map_err(Error::io("making a mount point"))?;
                attached(&layers, &upper, &work, &target)
            },
        )
    })
}

/// A detached copy of a layer's mount that shows other ids.
fn map(layer: &Path, mapping: &IdMapping<'_>) -> Result<OwnedFd, Error> {
    let opened = open_here(layer)?;
    let copy = sys::open_tree(opened.as_fd(), false).map_err(Error::io(format!(
        "copying the mount of layer {}",
        layer.display()
    )))?;
    sys::mount_map_ids(copy.as_fd(), mapping.namespace, false).map_err(Error::io(format!(
        "mapping the ids of layer {} (user namespaces need Linux 5.19 and an image store on a filesystem with \
         id-mapped mounts, such as ext4, xfs or btrfs)",
        layer.display()
    )))?;
    Ok(copy)
}
