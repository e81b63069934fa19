//! Checking that every blob is what its digest says, and fetching again what is not.

use std::collections::BTreeMap;
use std::fs;

use super::ImageStore;
use super::index::{Index, Record};
use super::staging::Staging;
use crate::image::limits::Budget;
use crate::image::manifest::{self, Descriptor, Platform};
use crate::image::registry::{self, Access, Pull};
use crate::image::source::{Blob, Resolved};
use crate::image::{Digest, Error, Reference};

/// What is wrong with something of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A blob is not there.
    Missing,
    /// A blob is not what its digest says.
    Damaged,
    /// A layer is not unpacked.
    NotUnpacked,
}

/// How a repository is spoken to.
pub type Repair<'a> = &'a dyn Fn(&str) -> Result<Access, Error>;

/// One finding of [`ImageStore::check`].
#[derive(Debug, Clone)]
pub struct Fault {
    /// The blob, or the layer's blob.
    pub digest: String,
    /// What is wrong.
    pub kind: FaultKind,
    /// A name of the image that it belongs to, or its id.
    pub image: String,
    /// Whether it was put right. `None` if that was not asked for; an error says what to do.
    pub repaired: Option<Result<(), String>>,
}

impl ImageStore {
    /// Reads every blob of every image, and looks for every layer. With `repair`, what is missing or damaged is fetched
    /// again from a registry that is known to have had it, and unpacked again; it is asked how a repository
    /// (`registry/path`) is spoken to. Blocks as [`ImageStore::pull`] does.
    pub fn check(&self, repair: Option<Repair<'_>>) -> Result<Vec<Fault>, Error> {
        let index = Index::load(&self.root)?;
        let mut faults = Vec::new();
        let mut seen: BTreeMap<Digest, bool> = BTreeMap::new();
        for (id, record) in &index.images {
            let found = self.check_image(*id, record, &mut seen)?;
            if found.is_empty() {
                continue;
            }
            let name = record.names.first().cloned().unwrap_or_else(|| id.to_string());
            let repaired = repair.map(|ask| self.repair(*id, record, ask));
            for (digest, kind) in found {
                let healed = repaired.as_ref().map(|repaired| match repaired {
                    Ok(()) => Ok(()),
                    Err(error) => Err(advice(record, &name, error)),
                });
                faults.push(Fault {
                    digest: digest.to_string(),
                    kind,
                    image: name.clone(),
                    repaired: healed,
                });
            }
            // What was put right is right for the next image as well.
            seen.retain(|_, whole| *whole);
        }
        Ok(faults)
    }

    fn check_image(
        &self,
        id: Digest,
        record: &Record,
        seen: &mut BTreeMap<Digest, bool>,
    ) -> Result<Vec<(Digest, FaultKind)>, Error> {
        let mut faults = Vec::new();
        for digest in record.blobs(id) {
            let whole = match seen.get(&digest) {
                Some(whole) => *whole,
                None => self.is_whole(digest)?,
            };
            seen.insert(digest, whole);
            if !whole {
                let kind = if self.blob(digest).exists() {
                    FaultKind::Damaged
                } else {
                    FaultKind::Missing
                };
                faults.push((digest, kind));
            }
        }
        for layer in &record.layers {
            if !self.layer(layer.chain_id).is_dir() {
                faults.push((layer.blob, FaultKind::NotUnpacked));
            }
        }
        Ok(faults)
    }

    /// Tries the registries one after the other, then unpacks what is not.
    fn repair(&self, id: Digest, record: &Record, ask: Repair<'_>) -> Result<(), Error> {
        let staging = self.staging()?;
        let budget = self.budget()?;
        let blobs_whole = || -> Result<bool, Error> {
            for digest in record.blobs(id) {
                if !self.is_whole(digest)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut last = None;
        for origin in &record.origins {
            if blobs_whole()? {
                break;
            }
            let reference: Reference = origin.parse()?;
            let fetched = ask(origin).and_then(|access| {
                registry::block_on(self.fetch_again(id, record, &reference, &access, &staging, &budget))
            });
            last = fetched.err();
        }
        if !blobs_whole()? {
            return Err(last.unwrap_or_else(|| Error::Invalid("no registry is known to have it".to_owned())));
        }
        self.unpack_again(id, record, &staging, &budget)
    }

    async fn fetch_again(
        &self,
        id: Digest,
        record: &Record,
        reference: &Reference,
        access: &Access,
        staging: &Staging,
        budget: &Budget,
    ) -> Result<(), Error> {
        let pull = Pull::connect(reference, access).await?;
        if let Some(digest) = record.manifest()
            && !self.is_whole(digest)?
        {
            let bytes = pull.manifest(digest).await?;
            self.replace(digest, &bytes, staging)?;
        }
        let stored = self.stored_manifest(record)?;
        if !self.is_whole(id)? {
            let bytes = pull.config(&stored.config).await?;
            self.replace(id, &bytes, staging)?;
        }
        let mut wanted: Vec<Descriptor> = Vec::new();
        for layer in stored.layers {
            if !self.is_whole(layer.digest)? {
                wanted.push(layer);
            }
        }
        let blobs = pull.blobs(&wanted, &self.downloads(staging), budget).await?;
        for blob in blobs {
            fs::File::open(&blob.path)
                .and_then(|file| file.sync_all())
                .map_err(|source| Error::path("synchronizing", &blob.path, source))?;
            self.put(&blob)?;
        }
        Ok(())
    }

    fn replace(&self, digest: Digest, bytes: &[u8], staging: &Staging) -> Result<(), Error> {
        use std::io::Write as _;
        let path = staging.path().join(digest.hex());
        let failed = |source| Error::path("writing", &path, source);
        let mut file = fs::File::create(&path).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        self.put(&Blob {
            digest,
            size: bytes.len() as u64,
            path: path.clone(),
        })
    }

    /// Puts a blob in the place of the damaged one, if an image still wants it.
    fn put(&self, blob: &Blob) -> Result<(), Error> {
        let _lock = self.lock()?;
        if !Index::load(&self.root)?.blobs().contains(&blob.digest) {
            return Ok(());
        }
        let target = self.blob(blob.digest);
        fs::rename(&blob.path, &target).map_err(|source| Error::path("moving into place", &target, source))
    }

    fn unpack_again(
        &self,
        id: Digest,
        record: &Record,
        staging: &Staging,
        budget: &Budget,
    ) -> Result<(), Error> {
        if record
            .layers
            .iter()
            .all(|layer| self.layer(layer.chain_id).is_dir())
        {
            return Ok(());
        }
        let stored = self.stored_manifest(record)?;
        let config = self.document(id)?;
        let (parsed, _) = manifest::parse_config(&config, stored.layers.len())?;
        let platform = Platform {
            os: parsed.os().to_string(),
            architecture: parsed.architecture().to_string(),
            variant: None,
        };
        let layers = stored.layers.iter().map(|layer| Blob {
            digest: layer.digest,
            size: layer.size,
            path: self.blob(layer.digest),
        });
        let resolved = Resolved {
            digest: Digest::of(&stored.bytes),
            layers: layers.collect(),
            manifest: stored.bytes,
            config,
            names: Vec::new(),
            origin: None,
        };
        self.install(&resolved, &[], staging, budget, &platform).map(drop)
    }
}

/// What helps when no registry does.
fn advice(record: &Record, name: &str, error: &Error) -> String {
    if record.origins.is_empty() {
        format!("{error}: import {name} again from where it came, or remove it (keelson image rm)")
    } else {
        format!("{error}: give credentials if it needs them, or import {name} again from an archive")
    }
}
