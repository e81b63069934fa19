//! Removing images, and collecting what nobody needs.

use std::fs;
use std::path::PathBuf;

use super::index::Index;
use super::staging::{Lock, is_abandoned, list};
use super::{ImageStore, Removed};
use crate::image::{Digest, Error};

/// What [`ImageStore::collect`] removes besides files that no image needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Collect {
    /// Nothing.
    #[default]
    Unreferenced,
    /// Images without a name that no container uses (`docker image prune`).
    Dangling,
    /// All images that no container uses (`docker image prune --all`).
    Unused,
}

/// What a collection removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Ids of removed images.
    pub images: Vec<String>,
    /// Files and directories of the store.
    pub files: usize,
    /// Bytes given back to the disk.
    pub bytes: u64,
}

impl ImageStore {
    /// Removes a name, and the image with its unshared layers when it was the last name. An id or digest removes the
    /// image with all its names.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] if containers use the image and this was its last name.
    pub fn remove(&self, reference: &str) -> Result<Removed, Error> {
        self.take_out(reference, false)
    }

    /// As [`ImageStore::remove`], also an image that containers use: its layers stay until these are gone.
    pub fn remove_by_force(&self, reference: &str) -> Result<Removed, Error> {
        self.take_out(reference, true)
    }

    fn take_out(&self, reference: &str, force: bool) -> Result<Removed, Error> {
        let lock = self.lock()?;
        let mut index = Index::load(&self.root)?;
        let removed = index
            .remove(reference)?
            .ok_or_else(|| Error::NotFound(reference.to_owned()))?;
        if let Some((_, record)) = &removed.image
            && !force
        {
            let lease_lock = Lock::acquire(&self.lease_lock())?;
            let leases = self.leases(&lease_lock, &[])?;
            let by = leases.containers(record.layers.last().map(|layer| layer.chain_id));
            if !by.is_empty() {
                return Err(Error::InUse {
                    image: reference.to_owned(),
                    by,
                });
            }
        }
        index.save(&self.root)?;
        let rubbish = self.sweep(&index, &lock)?;
        drop(lock);
        rubbish.remove();
        Ok(Removed {
            names: removed.names,
            image: removed.image.map(|(id, _)| id.to_string()),
        })
    }

    /// Removes files that neither an image nor a container needs, downloads that were broken off, and the images that
    /// `what` names. With `dry_run` it only counts.
    pub fn collect(&self, what: Collect, dry_run: bool) -> Result<Collected, Error> {
        let lock = self.lock()?;
        let mut index = Index::load(&self.root)?;
        let images = self.unused(&index, what)?;
        index.images.retain(|id, _| !images.contains(id));
        let mut collected = Collected {
            images: images.iter().map(Digest::to_string).collect(),
            ..Collected::default()
        };
        if dry_run {
            let lease_lock = Lock::acquire(&self.lease_lock())?;
            let unneeded = self.unneeded(&index, &self.leases(&lease_lock, &[])?)?;
            (collected.bytes, collected.files) = unneeded.size();
            return Ok(collected);
        }
        if !images.is_empty() {
            index.save(&self.root)?;
        }
        let rubbish = self.sweep(&index, &lock)?;
        drop(lock);
        (collected.bytes, collected.files) = rubbish.size();
        rubbish.remove();
        for path in self.abandoned_downloads()? {
            collected.bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
            collected.files += 1;
            fs::remove_file(&path).map_err(|source| Error::path("removing", &path, source))?;
        }
        Ok(collected)
    }

    fn unused(&self, index: &Index, what: Collect) -> Result<Vec<Digest>, Error> {
        let lease_lock = Lock::acquire(&self.lease_lock())?;
        let leases = self.leases(&lease_lock, &[])?;
        let wanted = |names: usize| match what {
            Collect::Unreferenced => false,
            Collect::Dangling => names == 0,
            Collect::Unused => true,
        };
        Ok(index
            .images
            .iter()
            .filter(|(_, record)| wanted(record.names.len()))
            .filter(|(_, record)| {
                let top = record.layers.last().map(|layer| layer.chain_id);
                leases.containers(top).is_empty()
            })
            .map(|(id, _)| *id)
            .collect())
    }

    /// Partial downloads that nobody is working on.
    fn abandoned_downloads(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = list(&self.partial())?;
        paths.retain(|path| is_abandoned(path));
        Ok(paths)
    }
}
