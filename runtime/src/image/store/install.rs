//! Unpacking a resolved image and making it visible.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::index::Index;
use super::lease::Lease;
use super::staging::Staging;
use super::unpack::Unpacked;
use super::{Image, ImageStore};
use crate::image::limits::Budget;
use crate::image::manifest::{self, Platform};
use crate::image::source::Resolved;
use crate::image::{Digest, Error, Reference};

/// How often an import starts again because another process removed a layer that it counted on.
const ATTEMPTS: usize = 3;
/// So many files are synchronized one by one.
const FEW: usize = 4;

impl ImageStore {
    /// Unpacks what is not unpacked yet and publishes the image under `names`.
    pub(super) fn install(
        &self,
        resolved: &Resolved,
        names: &[Reference],
        staging: &Staging,
        budget: &Budget,
        platform: &Platform,
    ) -> Result<Image, Error> {
        let diff_ids = manifest::check_config(&resolved.config, resolved.layers.len(), platform)?;
        for name in names {
            if name.digest.is_some_and(|digest| digest != resolved.digest) {
                return Err(Error::Invalid(format!(
                    "its digest is {}, not that of {name}",
                    resolved.digest
                )));
            }
        }
        for _ in 0..ATTEMPTS {
            if !self.hold(resolved, &diff_ids, staging)? {
                continue;
            }
            let unpacked = self.unpack(&resolved.layers, &diff_ids, staging, budget)?;
            if let Some(image) = self.publish(resolved, names, &unpacked, staging)? {
                return Ok(image);
            }
        }
        Err(Error::Invalid(
            "its layers are being removed by another process at the same time".to_owned(),
        ))
    }

    /// Takes a lease on what is in the store already, so that no removal takes it away while the rest is unpacked.
    /// False if something went just now.
    fn hold(&self, resolved: &Resolved, diff_ids: &[Digest], staging: &Staging) -> Result<bool, Error> {
        let mut layers = Vec::new();
        let mut chain_id = None;
        for diff_id in diff_ids {
            let next = Digest::chain(chain_id, *diff_id);
            chain_id = Some(next);
            if self.layer(next).is_dir() {
                layers.push(next);
            }
        }
        let blobs = resolved
            .layers
            .iter()
            .filter(|blob| blob.path == self.blob(blob.digest));
        let lease = Lease {
            holder: staging.path().to_owned(),
            container: false,
            layers,
            blobs: blobs.map(|blob| blob.digest).collect(),
        };
        if lease.layers.is_empty() && lease.blobs.is_empty() {
            return Ok(true);
        }
        match self.grant(&lease) {
            Ok(()) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves everything to its place and writes the index, under the lock. `None` if a layer that was in the store
    /// is there no more.
    fn publish(
        &self,
        resolved: &Resolved,
        names: &[Reference],
        unpacked: &[Unpacked],
        staging: &Staging,
    ) -> Result<Option<Image>, Error> {
        // Data first, names later: after a power cut, a name must not stand for a file without contents.
        for document in [&resolved.manifest, &resolved.config] {
            let path = staging.path().join(Digest::of(document).hex());
            fs::write(&path, document).map_err(|source| Error::path("writing", &path, source))?;
        }
        self.synchronize(unpacked, staging)?;

        let _lock = self.lock()?;
        for layer in unpacked {
            let target = self.layer(layer.layer.chain_id);
            if target.is_dir() {
                continue;
            }
            if layer.path == target {
                return Ok(None);
            }
            if let (Some(from), Some(to)) = (layer.path.parent(), target.parent()) {
                rename(from, to)?;
            }
        }
        let (id, manifest) = (Digest::of(&resolved.config), Digest::of(&resolved.manifest));
        for digest in resolved
            .layers
            .iter()
            .map(|blob| blob.digest)
            .chain([id, manifest])
        {
            // What was fetched again replaces what is there, which may be damaged.
            let (staged, target) = (staging.path().join(digest.hex()), self.blob(digest));
            if staged.exists() || !target.exists() {
                rename(&staged, &target)?;
            }
        }
        // Then the names in the directories, before the index names them.
        for directory in [self.blobs(), self.layers()] {
            fs::File::open(&directory)
                .and_then(|handle| handle.sync_all())
                .map_err(|source| Error::path("synchronizing", &directory, source))?;
        }
        let mut index = Index::load(&self.root)?;
        let record = index.images.entry(id).or_default();
        record.layers = unpacked.iter().map(|layer| layer.layer.clone()).collect();
        record.manifests = BTreeSet::from([manifest]);
        record.origins.extend(resolved.origin.clone());
        for name in names {
            index.name(id, name, resolved.digest);
        }
        index.save(&self.root)?;
        match index.images.get(&id) {
            Some(record) => self.image(id, record),
            None => Ok(None),
        }
    }

    /// Brings everything in the staging directory to the disk.
    fn synchronize(&self, unpacked: &[Unpacked], staging: &Staging) -> Result<(), Error> {
        let failed = |source: std::io::Error| Error::path("synchronizing", &self.root, source);
        let new_layers = unpacked
            .iter()
            .any(|layer| layer.path.starts_with(staging.path()));
        let files = super::staging::list(staging.path())?;
        // The image was here before: no reason to wait for all that others have written to this disk.
        if !new_layers && files.len() <= FEW {
            return files.iter().try_for_each(|path| {
                fs::File::open(path)
                    .and_then(|file| file.sync_all())
                    .map_err(failed)
            });
        }
        let root = fs::File::open(&self.root).map_err(failed)?;
        nix::unistd::syncfs(root).map_err(|errno| failed(errno.into()))
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::path("moving into place", to, source))
}
