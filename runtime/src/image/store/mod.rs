//! The store on disk.
//!
//! ```text
//! lock                    flock: held while the index or what it names changes
//! index.json              names, images, their layers; replaced atomically
//! blobs/sha256/HEX        manifests, configurations, layers as they came
//! layers/HEX/diff         unpacked layers, HEX the chain id: shared by all images with the same lower part
//! tmp/*                   work in progress, each directory locked by the process that makes it
//! ```
//!
//! A blob or layer gets its name by `rename`, complete and synchronized; what the index does not name is rubbish
//! and is removed by the next process that opens the store or removes an image. So a kill at any moment leaves
//! either the old state or the new one.

mod index;
mod install;
mod staging;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::limits::Budget;
use super::{Digest, Error, Limits, Reference, manifest, registry, source};
use index::{Index, Record};
use staging::Lock;

/// An image that is present and unpacked.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the image configuration, `sha256:...`: the image id.
    pub id: String,
    /// Names, normalized (`docker.io/library/busybox:1.36`).
    pub tags: Vec<String>,
    /// `name@sha256:...` forms.
    pub digests: Vec<String>,
    /// Bytes of the layers on disk.
    pub size: u64,
    /// The image configuration (OCI image spec, config.md).
    pub config: oci_spec::image::ImageConfiguration,
    /// Unpacked layer directories, lowest first.
    pub layers: Vec<PathBuf>,
}

/// The store below one directory. Safe to open from several processes at once.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
    limits: Limits,
}

impl ImageStore {
    /// Opens or creates the store, and removes what a killed process left behind.
    pub fn open(root: &Path) -> Result<Self, Error> {
        Self::open_with(root, Limits::default())
    }

    /// As [`ImageStore::open`], with other limits.
    pub fn open_with(root: &Path, limits: Limits) -> Result<Self, Error> {
        let store = Self {
            root: root.to_owned(),
            limits,
        };
        // Image contents include setuid programs and secrets: nobody else may walk in (CVE-2021-41103).
        for directory in [
            store.root.clone(),
            store.blobs(),
            store.layers(),
            store.temporary(),
        ] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|source| Error::path("creating", &directory, source))?;
        }
        let lock = store.lock()?;
        let index = Index::load(&store.root)?;
        let rubbish = store.sweep(&index, &lock)?;
        drop(lock);
        rubbish.remove();
        Ok(store)
    }

    /// Imports an OCI bundle directory, OCI layout directory, oci-archive or docker-archive tar under a name. With
    /// an empty name, under the names that the archive itself gives.
    pub fn import(&self, path: &Path, tag: &str) -> Result<Image, Error> {
        let name = if tag.is_empty() {
            None
        } else {
            Some(tag.parse::<Reference>()?)
        };
        let staging = self.staging()?;
        let budget = self.budget()?;
        let resolved = source::open(path, name.as_ref(), staging.path(), &budget)?;
        let names = match name {
            Some(name) => vec![name],
            None => resolved
                .names
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
        };
        if names.is_empty() {
            return Err(Error::Invalid(format!(
                "{} does not name its image: give a name",
                path.display()
            )));
        }
        self.install(&resolved, &names, &staging, &budget)
    }

    /// Finds an image by name (normalized first), `name@digest` or id.
    pub fn get(&self, reference: &str) -> Result<Option<Image>, Error> {
        let index = Index::load(&self.root)?;
        match index.find(reference)? {
            Some((id, record)) => self.image(*id, record),
            None => Ok(None),
        }
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let index = Index::load(&self.root)?;
        index
            .images
            .iter()
            .filter_map(|(id, record)| self.image(*id, record).transpose())
            .collect()
    }

    /// Removes a name, and the image with its unshared layers when it was the last name. An id or digest removes
    /// the image with all its names.
    pub fn remove(&self, reference: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut index = Index::load(&self.root)?;
        if !index.remove(reference)? {
            return Err(Error::NotFound(reference.to_owned()));
        }
        index.save(&self.root)?;
        let rubbish = self.sweep(&index, &lock)?;
        drop(lock);
        rubbish.remove();
        Ok(())
    }

    /// Fetches an image from its registry. `auth` is user and password from imagePullSecrets. Blocks until the image
    /// is unpacked; not to be called on a thread that runs async tasks. Registries on this machine (`localhost`,
    /// loopback addresses) are spoken to without encryption, all others over TLS.
    pub fn pull(&self, reference: &str, auth: Option<(String, String)>) -> Result<Image, Error> {
        let reference: Reference = reference.parse()?;
        let staging = self.staging()?;
        let budget = self.budget()?;
        let present = |digest| Some(self.blob(digest)).filter(|path| path.exists());
        let resolved = registry::pull(&reference, auth, staging.path(), &budget, present)?;
        self.install(&resolved, &[reference], &staging, &budget)
    }

    /// The image of a record; `None` if its files have been removed behind our back.
    fn image(&self, id: Digest, record: &Record) -> Result<Option<Image>, Error> {
        let layers: Vec<PathBuf> = record
            .layers
            .iter()
            .map(|layer| self.layer(layer.chain_id))
            .collect();
        let path = self.blob(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::path("reading", &path, source)),
        };
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        let (config, _) = manifest::check_config(&bytes, layers.len())?;
        Ok(Some(Image {
            id: id.to_string(),
            tags: record.names.iter().cloned().collect(),
            digests: record.digests.iter().cloned().collect(),
            size: record.layers.iter().map(|layer| layer.size).sum(),
            config,
            layers,
        }))
    }

    /// What one image may write: the limit, or what the disk can give.
    fn budget(&self) -> Result<Budget, Error> {
        let space = nix::sys::statvfs::statvfs(&self.root)
            .map_err(|source| Error::path("looking at the file system of", &self.root, source))?;
        let free = space.blocks_available().saturating_mul(space.fragment_size());
        let free = free.saturating_sub(self.limits.keep_free);
        Ok(Budget::new(self.limits.image_bytes.min(free)))
    }

    fn lock(&self) -> Result<Lock, Error> {
        Lock::acquire(&self.root.join("lock"))
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn blob(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn layer(&self, chain_id: Digest) -> PathBuf {
        self.layers().join(chain_id.hex()).join("diff")
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

#[cfg(test)]
mod tests;
