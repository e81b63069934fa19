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
    /// The manifest that `layers` are from. (Stores of the first version may have others, without their blobs.)
    pub manifests: BTreeSet<Digest>,
    /// `registry/repository` of every registry that was seen to have its blobs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub origins: BTreeSet<String>,
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

impl Record {
    /// The manifest that the layers are from.
    pub(super) fn manifest(&self) -> Option<Digest> {
        self.manifests.iter().next_back().copied()
    }

    /// All blobs of the image with this id.
    pub(super) fn blobs(&self, id: Digest) -> Vec<Digest> {
        let unique: BTreeSet<Digest> = self
            .manifest()
            .into_iter()
            .chain([id])
            .chain(self.layers.iter().map(|layer| layer.blob))
            .collect();
        unique.into_iter().collect()
    }
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
        let parsed = reference.parse::<Reference>();
        if let Ok(name) = &parsed {
            let found = self.images.iter().find(|(_, record)| match &name.digest {
                // A digest decides; a tag beside it is only a note, as in Docker.
                Some(digest) => record
                    .digests
                    .contains(&format!("{}@{digest}", name.repository())),
                None => record.names.contains(&name.to_string()),
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        let mut short = self.images.iter().filter(|(id, _)| is_short_id(reference, **id));
        match (short.next(), short.next()) {
            (Some(_), Some(_)) => Err(Error::InvalidReference(format!(
                "{reference:?} is the beginning of several image ids"
            ))),
            (Some(found), None) => Ok(Some(found)),
            (None, _) => parsed.map(|_| None),
        }
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

    /// Removes a name (and the image with its last name), or an image by id or digest. `None` if absent.
    pub(super) fn remove(&mut self, reference: &str) -> Result<Option<Removed>, Error> {
        let Some((id, record)) = self.find(reference)?.map(|(id, record)| (*id, record.clone())) else {
            return Ok(None);
        };
        let by_name =
            image_id(reference).is_none() && !reference.contains('@') && !is_short_id(reference, id);
        if by_name && let Some(record) = self.images.get_mut(&id) {
            let name = reference.parse::<Reference>()?.to_string();
            record.names.remove(&name);
            if !record.names.is_empty() {
                return Ok(Some(Removed {
                    names: vec![name],
                    image: None,
                }));
            }
        }
        self.images.remove(&id);
        Ok(Some(Removed {
            names: record.names.iter().cloned().collect(),
            image: Some((id, record)),
        }))
    }

    /// All blobs that are needed.
    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        self.images
            .iter()
            .flat_map(|(id, record)| record.blobs(*id))
            .collect()
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

/// What [`Index::remove`] took away.
pub(super) struct Removed {
    /// Names.
    pub names: Vec<String>,
    /// The image, if it went with them.
    pub image: Option<(Digest, Record)>,
}

/// Fewest digits that stand for an image id.
const SHORT_ID: usize = 4;

/// Whether a text is the beginning of an image id, as lists show it. Checked after names: `cafe` may be a repository.
fn is_short_id(text: &str, id: Digest) -> bool {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    text.len() >= SHORT_ID && id.hex().starts_with(text)
}

/// `sha256:HEX` or just the 64 digits.
fn image_id(text: &str) -> Option<Digest> {
    text.parse()
        .ok()
        .or_else(|| format!("sha256:{text}").parse().ok())
}
