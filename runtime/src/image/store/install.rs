//! Unpacking a resolved image and making it visible.

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::index::{Index, Layer};
use super::staging::Staging;
use super::{Image, ImageStore};
use crate::image::limits::Budget;
use crate::image::source::{Blob, Resolved};
use crate::image::{Digest, Error, Reference, layer, manifest};

/// How often an import starts again because another process removed a layer that it counted on.
const ATTEMPTS: usize = 3;

/// A layer that is unpacked, in the store already or still in the staging directory.
struct Unpacked {
    layer: Layer,
    path: PathBuf,
}

impl ImageStore {
    /// Unpacks what is not unpacked yet and publishes the image under `names`.
    pub(super) fn install(
        &self,
        resolved: &Resolved,
        names: &[Reference],
        staging: &Staging,
        budget: &Budget,
    ) -> Result<Image, Error> {
        let (_, diff_ids) = manifest::check_config(&resolved.config, resolved.layers.len())?;
        for name in names {
            if name.digest.is_some_and(|digest| digest != resolved.digest) {
                return Err(Error::Invalid(format!(
                    "its digest is {}, not that of {name}",
                    resolved.digest
                )));
            }
        }
        for attempt in 1.. {
            let unpacked = self.unpack(&resolved.layers, &diff_ids, staging, budget)?;
            match self.publish(resolved, names, &unpacked, staging)? {
                Some(image) => return Ok(image),
                None if attempt < ATTEMPTS => {}
                None => break,
            }
        }
        Err(Error::Invalid(
            "its layers are being removed by another process at the same time".to_owned(),
        ))
    }

    fn unpack(
        &self,
        blobs: &[Blob],
        diff_ids: &[Digest],
        staging: &Staging,
        budget: &Budget,
    ) -> Result<Vec<Unpacked>, Error> {
        let mut unpacked: Vec<Unpacked> = Vec::with_capacity(blobs.len());
        for (blob, diff_id) in blobs.iter().zip(diff_ids) {
            let chain_id = Digest::chain(unpacked.last().map(|below| below.layer.chain_id), *diff_id);
            let published = self.layer(chain_id);
            let staged = staging.path().join(format!("layer-{}", chain_id.hex()));
            let path = if published.is_dir() {
                published
            } else {
                let path = staged.join("diff");
                if !path.is_dir() {
                    let lowers: Vec<&Path> = unpacked.iter().map(|layer| layer.path.as_path()).collect();
                    unpack_layer(blob, *diff_id, &path, &lowers, budget)?;
                }
                path
            };
            let size = read_size(&path)?;
            unpacked.push(Unpacked {
                layer: Layer {
                    blob: blob.digest,
                    chain_id,
                    size,
                },
                path,
            });
        }
        Ok(unpacked)
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
        self.synchronize()?;

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
            let target = self.blob(digest);
            if !target.exists() {
                rename(&staging.path().join(digest.hex()), &target)?;
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
        record.manifests.insert(manifest);
        for name in names {
            index.name(id, name, resolved.digest);
        }
        index.save(&self.root)?;
        match index.images.get(&id) {
            Some(record) => self.image(id, record),
            None => Ok(None),
        }
    }

    fn synchronize(&self) -> Result<(), Error> {
        let failed = |source: std::io::Error| Error::path("synchronizing", &self.root, source);
        let root = fs::File::open(&self.root).map_err(failed)?;
        nix::unistd::syncfs(root).map_err(|errno| failed(errno.into()))
    }
}

fn unpack_layer(
    blob: &Blob,
    diff_id: Digest,
    into: &Path,
    lowers: &[&Path],
    budget: &Budget,
) -> Result<(), Error> {
    // The mode of a layer's root, should it not have one of its own, is what `/` gets in the container.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(into)
        .map_err(|source| Error::path("creating", into, source))?;
    let file = fs::File::open(&blob.path).map_err(|source| Error::path("opening", &blob.path, source))?;
    let before = budget.left();
    let found = layer::unpack(BufReader::with_capacity(64 << 10, file), into, lowers, budget)?;
    if found != diff_id {
        return Err(Error::Invalid(format!(
            "layer {} unpacks to {found}, but the configuration says {diff_id}",
            blob.digest
        )));
    }
    write_size(into, before - budget.left())
}

/// The size of a layer stands beside its `diff` directory.
fn size_file(diff: &Path) -> PathBuf {
    diff.with_file_name("size")
}

fn write_size(diff: &Path, size: u64) -> Result<(), Error> {
    let path = size_file(diff);
    fs::File::create(&path)
        .and_then(|mut file| file.write_all(size.to_string().as_bytes()))
        .map_err(|source| Error::path("writing", &path, source))
}

fn read_size(diff: &Path) -> Result<u64, Error> {
    let path = size_file(diff);
    let text = fs::read_to_string(&path).map_err(|source| Error::path("reading", &path, source))?;
    text.trim()
        .parse()
        .map_err(|_| Error::Invalid(format!("{} holds no number", path.display())))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::path("moving into place", to, source))
}
