//! Pulling and pushing: the store's side of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::index::{Index, Record};
use super::lease::Lease;
use super::staging::{Lock, Staging};
use super::{Image, ImageStore};
use crate::image::digest::Running;
use crate::image::limits::Budget;
use crate::image::manifest::{self, Descriptor, Document, Platform};
use crate::image::registry::{self, Access, Downloads, Pull};
use crate::image::source::{Blob, Resolved};
use crate::image::{Digest, Error, Reference};

/// How an image is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Credentials and certificates.
    pub access: Access,
    /// What it is to run on; this machine if `None`.
    pub platform: Option<Platform>,
}

/// Held while an image is pulled. The file is only a name for the lock: it goes with it.
struct Pulling {
    path: PathBuf,
    _lock: Lock,
}

impl Drop for Pulling {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl ImageStore {
    /// Fetches an image from its registry. Blocks until it is unpacked; not to be called on a thread that runs async
    /// tasks. Two pulls of one image, be they of two processes, fetch it once.
    ///
    /// # Errors
    /// [`Error::Pull`] if the registry refuses or cannot be reached; [`Error::Invalid`] if what it sends is not what
    /// it promised, after it was asked again.
    pub fn pull(&self, reference: &str, options: &PullOptions) -> Result<Image, Error> {
        let reference: Reference = reference.parse()?;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let staging = self.staging()?;
        let budget = self.budget()?;
        let (resolved, _pulling) =
            registry::block_on(self.fetch(&reference, &options.access, &platform, &staging, &budget))?;
        self.install(&resolved, &[reference], &staging, &budget, &platform)
    }

    async fn fetch(
        &self,
        reference: &Reference,
        access: &Access,
        platform: &Platform,
        staging: &Staging,
        budget: &Budget,
    ) -> Result<(Resolved, Pulling), Error> {
        let pull = Pull::connect(reference, access).await?;
        let found = pull.resolve(platform).await?;
        let pulling = self.pulling_lock(Digest::of(&found.manifest)).await?;
        let config = pull.config(&found.config).await?;
        // Before anything large is fetched.
        let diff_ids = manifest::check_config(&config, found.layers.len(), platform)?;
        let (present, missing) = self.present(&found.layers, &diff_ids, staging)?;
        let fetched = pull.blobs(&missing, &self.downloads(staging), budget).await?;
        let layer = |wanted: &Descriptor| {
            let here = present.contains(&wanted.digest).then(|| Blob {
                digest: wanted.digest,
                size: wanted.size,
                path: self.blob(wanted.digest),
            });
            here.or_else(|| fetched.iter().find(|blob| blob.digest == wanted.digest).cloned())
                .ok_or_else(|| Error::Invalid(format!("layer {} was not fetched", wanted.digest)))
        };
        let layers = found.layers.iter().map(layer).collect::<Result<_, _>>()?;
        let resolved = Resolved {
            digest: found.digest,
            manifest: found.manifest,
            config,
            layers,
            names: vec![reference.to_string()],
            origin: Some(reference.repository()),
        };
        Ok((resolved, pulling))
    }

    pub(super) fn downloads(&self, staging: &Staging) -> Downloads {
        Downloads {
            partial: self.partial(),
            staging: staging.path().to_owned(),
        }
    }

    /// Waits for another pull of the same image. Its end needs no looking for: the kernel gives the lock to us, also
    /// when the other is killed.
    async fn pulling_lock(&self, manifest: Digest) -> Result<Pulling, Error> {
        let path = self.pulling().join(manifest.hex());
        let waiting = path.clone();
        let lock = tokio::task::spawn_blocking(move || Lock::acquire(&waiting)).await;
        let lock = lock.map_err(|error| Error::Invalid(format!("waiting for another pull: {error}")))??;
        Ok(Pulling { path, _lock: lock })
    }

    /// Which layers are in the store, and which must be fetched. The first get a lease. A blob whose layer is yet to be
    /// unpacked is read to see that it is whole; one of the wrong size never counts.
    fn present(
        &self,
        layers: &[Descriptor],
        diff_ids: &[Digest],
        staging: &Staging,
    ) -> Result<(BTreeSet<Digest>, Vec<Descriptor>), Error> {
        let (mut present, mut missing) = (BTreeSet::new(), Vec::new());
        let mut chain_id = None;
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            let next = Digest::chain(chain_id, *diff_id);
            chain_id = Some(next);
            let same_size = fs::metadata(self.blob(layer.digest)).is_ok_and(|file| file.len() == layer.size);
            let whole = same_size && (self.layer(next).is_dir() || self.is_whole(layer.digest)?);
            if whole {
                present.insert(layer.digest);
            } else {
                missing.push(layer.clone());
            }
        }
        missing.retain(|layer| !present.contains(&layer.digest));
        if !present.is_empty() {
            let lease = Lease {
                holder: staging.path().to_owned(),
                container: false,
                layers: Vec::new(),
                blobs: present.iter().copied().collect(),
            };
            match self.grant(&lease) {
                Ok(()) => {}
                // Removed since we looked.
                Err(Error::NotFound(_)) => return Ok((BTreeSet::new(), layers.to_vec())),
                Err(error) => return Err(error),
            }
        }
        Ok((present, missing))
    }

    /// Whether a blob is what its digest says. A missing one is not.
    pub(super) fn is_whole(&self, digest: Digest) -> Result<bool, Error> {
        use std::io::Read as _;
        let path = self.blob(digest);
        let failed = |source| Error::path("reading", &path, source);
        let mut file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(failed(source)),
        };
        let mut hash = Running::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.digest() == digest),
                Ok(count) => hash.update(&buffer[..count]),
                // A bad sector is damage like any other.
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => {
                    return Ok(false);
                }
                Err(source) => return Err(failed(source)),
            }
        }
    }

    /// Sends an image to a registry, under its own name or another one. Blocks as [`ImageStore::pull`] does. Returns
    /// the digest by which it can be pulled.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has no such image; [`Error::Push`] if the registry refuses.
    pub fn push(&self, reference: &str, to: Option<&str>, access: &Access) -> Result<Digest, Error> {
        let index = Index::load(&self.root)?;
        let (id, record) = index
            .find(reference)?
            .map(|(id, record)| (*id, record.clone()))
            .ok_or_else(|| Error::NotFound(reference.to_owned()))?;
        let to: Reference = match to {
            Some(to) => to.parse()?,
            None => reference.parse()?,
        };
        let staging = self.staging()?;
        self.grant(&Lease {
            holder: staging.path().to_owned(),
            container: false,
            layers: Vec::new(),
            blobs: record.blobs(id),
        })?;
        let stored = self.stored_manifest(&record)?;
        let mut unique = BTreeSet::new();
        let blobs = stored
            .layers
            .iter()
            .chain([&stored.config])
            .filter(|blob| unique.insert(blob.digest))
            .map(|blob| registry::PushBlob {
                digest: blob.digest,
                size: blob.size,
                path: self.blob(blob.digest),
            })
            .collect();
        let same_registry = |origin: &String| {
            let (domain, path) = origin.split_once('/')?;
            (domain == to.domain && path != to.path).then(|| path.to_owned())
        };
        let push = registry::Push {
            to: &to,
            manifest: &stored.bytes,
            media_type: &stored.media_type,
            blobs,
            mounts: record.origins.iter().filter_map(same_registry).collect(),
        };
        registry::block_on(registry::push(&push, access))?;
        let digest = Digest::of(&stored.bytes);
        self.pushed(id, &to, digest)?;
        Ok(digest)
    }

    /// Notes where an image can be had from now on.
    fn pushed(&self, id: Digest, to: &Reference, manifest: Digest) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut index = Index::load(&self.root)?;
        if let Some(record) = index.images.get_mut(&id) {
            record.digests.insert(format!("{}@{manifest}", to.repository()));
            record.origins.insert(to.repository());
            index.save(&self.root)?;
        }
        Ok(())
    }

    /// The manifest of an image, verified and parsed.
    pub(super) fn stored_manifest(&self, record: &Record) -> Result<StoredManifest, Error> {
        let digest = record
            .manifest()
            .ok_or_else(|| Error::Invalid("the image store has no manifest of it".to_owned()))?;
        let bytes = self.document(digest)?;
        let Document::Manifest { config, layers } = Document::parse(&bytes, "")? else {
            return Err(Error::Invalid(format!("{digest} is no manifest")));
        };
        let typed: Option<Typed> = serde_json::from_slice(&bytes).ok();
        let media_type = typed.and_then(|typed| typed.media_type);
        Ok(StoredManifest {
            media_type: media_type.unwrap_or_else(|| manifest::MANIFEST_TYPE.to_owned()),
            bytes,
            config,
            layers,
        })
    }
}

/// The one field of a manifest that its parser does not keep.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<String>,
}

/// A manifest that is in the store.
pub(super) struct StoredManifest {
    pub bytes: Vec<u8>,
    pub media_type: String,
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
}
