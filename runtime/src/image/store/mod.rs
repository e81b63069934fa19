//! The store on disk.
//!
//! ```text
//! lock                    flock: held while the index or what it names changes
//! index.json              names, images, their layers; replaced atomically
//! blobs/sha256/HEX        manifests, configurations, layers as they came
//! layers/HEX/diff         unpacked layers, HEX the chain id: shared by all images with the same lower part
//! leases/*                what containers and work in progress need, see [`lease`]; leases.lock guards them
//! partial/HEX             blobs being downloaded, each locked by who does it; a broken download goes on here
//! pulling/HEX             flock: held while the image with that manifest is pulled, so that it is pulled once
//! tmp/*                   work in progress, each directory locked by the process that makes it
//! ```
//!
//! A blob or layer gets its name by `rename`, complete and synchronized; what neither the index nor a lease names is
//! rubbish and is removed by the next process that opens the store or removes an image. So a kill at any moment leaves
//! either the old state or the new one.

mod check;
mod export;
mod index;
mod inspect;
mod install;
mod lease;
mod remove;
mod staging;
mod transfer;
mod unpack;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::limits::{self, Budget};
use super::manifest::Platform;
use super::{Digest, Error, Limits, Reference, manifest, source};
pub use check::{Fault, FaultKind, Repair};
pub use export::Archive;
use index::{Index, Record};
pub use inspect::{Details, LayerDetails};
pub use lease::hold_layers;
pub use remove::{Collect, Collected};
use staging::Lock;
pub use transfer::PullOptions;

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

/// What [`ImageStore::remove`] took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Names.
    pub names: Vec<String>,
    /// Id of the image, if it went with them.
    pub image: Option<String>,
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
            store.partial(),
            store.pulling(),
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
    /// `-` is an archive on standard input.
    pub fn import(&self, path: &Path, tag: &str) -> Result<Image, Error> {
        self.import_for(path, tag, &Platform::host())
    }

    /// As [`ImageStore::import`], for another platform than this machine's.
    pub fn import_for(&self, path: &Path, tag: &str, platform: &Platform) -> Result<Image, Error> {
        let name = if tag.is_empty() {
            None
        } else {
            Some(tag.parse::<Reference>()?)
        };
        let staging = self.staging()?;
        let budget = self.budget()?;
        let wanted = source::Wanted {
            name: name.as_ref(),
            platform,
        };
        let resolved = source::open(path, &wanted, staging.path(), &budget)?;
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
        self.install(&resolved, &names, &staging, &budget, platform)
    }

    /// Gives an image one more name. The name is taken from any other image that has it.
    pub fn tag(&self, reference: &str, name: &str) -> Result<(), Error> {
        let name: Reference = name.parse()?;
        if name.digest.is_some() {
            return Err(Error::InvalidReference(format!("{name}: a name has no digest")));
        }
        let _lock = self.lock()?;
        let mut index = Index::load(&self.root)?;
        let found = index
            .find(reference)?
            .map(|(id, record)| (*id, record.manifest()));
        let (id, manifest) = found.ok_or_else(|| Error::NotFound(reference.to_owned()))?;
        index.name(id, &name, manifest.unwrap_or(id));
        index.save(&self.root)
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

    /// A small blob, verified.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is missing or is not what its digest says.
    fn document(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let path = self.blob(digest);
        let damaged = |reason: &str| Error::Damaged {
            digest,
            reason: reason.to_owned(),
        };
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("it is missing"));
            }
            Err(source) => return Err(Error::path("opening", &path, source)),
        };
        let bytes = limits::read_limited(file, limits::DOCUMENT, "a document of the image store")?;
        if Digest::of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(damaged("its contents have changed"))
        }
    }

    /// The image of a record; `None` if its files have been removed or damaged behind our back.
    fn image(&self, id: Digest, record: &Record) -> Result<Option<Image>, Error> {
        let layers: Vec<PathBuf> = record
            .layers
            .iter()
            .map(|layer| self.layer(layer.chain_id))
            .collect();
        // A configuration that is missing or damaged is one that must be fetched again, like a missing layer.
        let Ok(bytes) = self.document(id) else {
            return Ok(None);
        };
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        let (config, _) = manifest::parse_config(&bytes, layers.len())?;
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

    fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    fn pulling(&self) -> PathBuf {
        self.root.join("pulling")
    }
}

#[cfg(test)]
mod tests;
