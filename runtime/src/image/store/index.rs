//! `index.json`: which images there are, under which names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::image::{Digest, Error, Reference};

/// All images by id.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    pub images: BTreeMap<Digest, Record>,
}

/// One image.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub names: BTreeSet<String>,
    /// `repository@digest` of its manifests.
    pub digests: BTreeSet<String>,
    pub manifests: BTreeSet<Digest>,
    /// Lowest first.
    pub layers: Vec<Layer>,
}

/// One layer of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Layer {
    /// The blob it came in.
    pub blob: Digest,
    /// What the unpacked directory is called.
    pub chain_id: Digest,
    /// Bytes of its files.
    pub size: u64,
}

impl Index {
    /// Reads the index; an absent one is empty.
    pub(super) fn load(root: &Path) -> Result<Self, Error> {
        let path = root.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| {
                Error::Invalid(format!(
                    "{} is damaged ({source}): move it away and import the images again",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::path("reading", &path, source)),
        }
    }

    /// Replaces the index on disk, durably. Call with the lock held.
    pub(super) fn save(&self, root: &Path) -> Result<(), Error> {
        let path = root.join("index.json");
        let failed = |source| Error::path("writing", &path, source);
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::Invalid(format!("writing {}: {source}", path.display())))?;
        let mut file = tempfile::NamedTempFile::new_in(root.join("tmp")).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        fs::File::open(root)
            .and_then(|root| root.sync_all())
            .map_err(failed)
    }

    /// Finds an image by id, name or digest.
    pub(super) fn find(&self, reference: &str) -> Result<Option<(&Digest, &Record)>, Error> {
        if let Some(id) = image_id(reference) {
            return Ok(self.images.get_key_value(&id));
        }
        let reference: Reference = reference.parse()?;
        Ok(self.images.iter().find(|(_, record)| match &reference.digest {
            // A digest decides; a tag beside it is only a note, as in Docker.
            Some(digest) => record
                .digests
                .contains(&format!("{}@{digest}", reference.repository())),
            None => record.names.contains(&reference.to_string()),
        }))
    }

    /// Gives a name to an image, taking it from any other. Images without a name stay until they are removed.
    pub(super) fn name(&mut self, id: Digest, name: &Reference, manifest: Digest) {
        let digest = format!("{}@{manifest}", name.repository());
        let tagged = Reference {
            digest: None,
            ..name.clone()
        };
        if tagged.tag.is_some() {
            let tagged = tagged.to_string();
            for record in self.images.values_mut() {
                record.names.remove(&tagged);
            }
            self.images.entry(id).or_default().names.insert(tagged);
        }
        self.images.entry(id).or_default().digests.insert(digest);
    }

    /// Removes a name (and the image with its last name), or an image by id or digest. False if absent.
    pub(super) fn remove(&mut self, reference: &str) -> Result<bool, Error> {
        let Some(id) = self.find(reference)?.map(|(id, _)| *id) else {
            return Ok(false);
        };
        let by_name = image_id(reference).is_none() && !reference.contains('@');
        if by_name && let Some(record) = self.images.get_mut(&id) {
            record.names.remove(&reference.parse::<Reference>()?.to_string());
            if !record.names.is_empty() {
                return Ok(true);
            }
        }
        self.images.remove(&id);
        Ok(true)
    }

    /// All blobs that are needed.
    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        let of = |(id, record): (&Digest, &Record)| {
            let layers = record.layers.iter().map(|layer| layer.blob);
            let all: Vec<_> = layers
                .chain(record.manifests.iter().copied())
                .chain([*id])
                .collect();
            all
        };
        self.images.iter().flat_map(of).collect()
    }

    /// All unpacked layers that are needed.
    pub(super) fn layers(&self) -> BTreeSet<Digest> {
        let of = |record: &Record| {
            record
                .layers
                .iter()
                .map(|layer| layer.chain_id)
                .collect::<Vec<_>>()
        };
        self.images.values().flat_map(of).collect()
    }
}

/// `sha256:HEX` or just the 64 digits.
fn image_id(text: &str) -> Option<Digest> {
    text.parse()
        .ok()
        .or_else(|| format!("sha256:{text}").parse().ok())
}
