//! All that is known of an image.

use std::path::PathBuf;

use serde_json::Value;

use super::ImageStore;
use super::index::Index;
use super::staging::Lock;
use crate::image::{Error, manifest};

/// An image in full.
#[derive(Debug, Clone)]
pub struct Details {
    /// Image id.
    pub id: String,
    /// Names.
    pub tags: Vec<String>,
    /// `name@sha256:...` forms.
    pub digests: Vec<String>,
    /// Digest of its manifest.
    pub manifest: String,
    /// The manifest's media type.
    pub media_type: String,
    /// The configuration, every field of it.
    pub config: Value,
    /// Lowest first.
    pub layers: Vec<LayerDetails>,
    /// Registries that are known to have it.
    pub origins: Vec<String>,
    /// Containers that use it.
    pub used_by: Vec<String>,
}

/// A layer of an image.
#[derive(Debug, Clone)]
pub struct LayerDetails {
    /// Digest of the blob it came in.
    pub digest: String,
    /// That blob's media type.
    pub media_type: String,
    /// Bytes of that blob.
    pub size: u64,
    /// Digest of the tar in it.
    pub diff_id: String,
    /// Identity of the layer on top of those below.
    pub chain_id: String,
    /// Where it is unpacked.
    pub path: PathBuf,
    /// Bytes that it was charged there.
    pub unpacked_size: u64,
}

impl ImageStore {
    /// All that is known of an image; `None` if there is none of that name or id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if its manifest or configuration is.
    pub fn inspect(&self, reference: &str) -> Result<Option<Details>, Error> {
        let index = Index::load(&self.root)?;
        let Some((id, record)) = index.find(reference)? else {
            return Ok(None);
        };
        let stored = self.stored_manifest(record)?;
        let config = self.document(*id)?;
        let (_, diff_ids) = manifest::parse_config(&config, stored.layers.len())?;
        let leases = {
            let lock = Lock::acquire(&self.lease_lock())?;
            self.leases(&lock, &[])?
        };
        let layers = stored.layers.iter().zip(&record.layers).zip(diff_ids);
        Ok(Some(Details {
            id: id.to_string(),
            tags: record.names.iter().cloned().collect(),
            digests: record.digests.iter().cloned().collect(),
            manifest: record
                .manifest()
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
            media_type: stored.media_type.clone(),
            config: serde_json::from_slice(&config)
                .map_err(|source| Error::Invalid(format!("image configuration: {source}")))?,
            layers: layers
                .map(|((descriptor, layer), diff_id)| LayerDetails {
                    digest: descriptor.digest.to_string(),
                    media_type: descriptor.media_type.clone(),
                    size: descriptor.size,
                    diff_id: diff_id.to_string(),
                    chain_id: layer.chain_id.to_string(),
                    path: self.layer(layer.chain_id),
                    unpacked_size: layer.size,
                })
                .collect(),
            origins: record.origins.iter().cloned().collect(),
            used_by: leases.containers(record.layers.last().map(|layer| layer.chain_id)),
        }))
    }
}
