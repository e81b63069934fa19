//! Pulling: from a name to a manifest for this platform, then its blobs, several at a time.

use std::collections::BTreeMap;

use futures::StreamExt;

use super::client::Registry;
use super::document::verify;
use super::download::Downloads;
use super::failure::Failure;
use super::{Access, pull_failed};
use crate::image::limits::{self, Budget};
use crate::image::manifest::{Descriptor, Document, Platform, choose_platform};
use crate::image::source::Blob;
use crate::image::{Digest, Error, Reference};

/// Blobs that are fetched at the same time.
const AT_ONCE: usize = 4;

/// A conversation about one image.
pub(in crate::image) struct Pull<'a> {
    reference: &'a Reference,
    registry: Registry,
}

/// What a name stands for.
pub(in crate::image) struct Found {
    /// Digest of what the name stands for: an index, or the manifest.
    pub digest: Digest,
    pub manifest: Vec<u8>,
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
}

impl<'a> Pull<'a> {
    pub(in crate::image) async fn connect(reference: &'a Reference, access: &Access) -> Result<Self, Error> {
        let registry = Registry::connect(reference, access, "pull")
            .await
            .map_err(|failure| pull_failed(reference, unresolved(reference, &failure)))?;
        Ok(Self { reference, registry })
    }

    /// Follows the name to a manifest.
    pub(in crate::image) async fn resolve(&self, platform: &Platform) -> Result<Found, Error> {
        let reference = self.reference;
        let name = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        };
        let get = async |name: &str| {
            let answer = self.registry.manifest(name).await;
            answer.map_err(|failure| pull_failed(reference, unresolved(reference, &failure)))
        };
        let (mut bytes, mut media_type) = get(&name).await?;
        let digest = Digest::of(&bytes);
        if reference.digest.is_some_and(|wanted| wanted != digest) {
            return Err(Error::Invalid(format!(
                "the registry sent {digest} for {reference}"
            )));
        }
        for _ in 0..=limits::INDEX_DEPTH {
            match Document::parse(&bytes, &media_type)? {
                Document::Index(entries) => {
                    let entry = choose_platform(&entries, platform)?;
                    let (inner, declared) = get(&entry.digest.to_string()).await?;
                    self.check(verify(entry, Digest::of(&inner), inner.len() as u64))?;
                    (bytes, media_type) = (inner, declared);
                }
                Document::Manifest { config, layers } => {
                    return Ok(Found {
                        digest,
                        manifest: bytes,
                        config,
                        layers,
                    });
                }
            }
        }
        Err(Error::Invalid("its indexes are nested too deep".to_owned()))
    }

    /// A document among the blobs.
    pub(in crate::image) async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        self.check(self.registry.small_blob(descriptor).await)
    }

    /// A manifest by its digest, verified.
    pub(in crate::image) async fn manifest(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let (bytes, _) = self.check(self.registry.manifest(&digest.to_string()).await)?;
        if Digest::of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(Error::Invalid(format!(
                "the registry sent another manifest for {digest}"
            )))
        }
    }

    /// Fetches blobs, each once, some at a time. They are charged to the account before the first byte.
    pub(in crate::image) async fn blobs(
        &self,
        wanted: &[Descriptor],
        downloads: &Downloads,
        budget: &Budget,
    ) -> Result<Vec<Blob>, Error> {
        let unique: BTreeMap<Digest, &Descriptor> = wanted
            .iter()
            .map(|descriptor| (descriptor.digest, descriptor))
            .collect();
        for descriptor in unique.values() {
            budget.charge(descriptor.size)?;
        }
        let mut fetched = futures::stream::iter(unique.into_values())
            .map(async |descriptor| {
                let result = downloads.fetch(&self.registry, descriptor).await;
                result.map_err(|failure| {
                    Failure::lasting(format!("failed to fetch {}: {failure}", descriptor.digest))
                })
            })
            .buffer_unordered(AT_ONCE);
        let mut blobs = Vec::new();
        while let Some(blob) = fetched.next().await {
            blobs.push(self.check(blob)?);
        }
        Ok(blobs)
    }

    fn check<T>(&self, result: Result<T, Failure>) -> Result<T, Error> {
        result.map_err(|failure| pull_failed(self.reference, failure))
    }
}

fn unresolved(reference: &Reference, failure: &Failure) -> String {
    format!("failed to resolve reference \"{reference}\": {failure}")
}
