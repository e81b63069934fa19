//! Pulling from registries (OCI distribution spec, "Pull"), into the same verified blobs as an import.
//!
//! - [`client`]: HTTP with one registry.
//! - [`challenge`]: what it asks for; pure.

mod challenge;
mod client;

use std::io::Write;
use std::path::{Path, PathBuf};

use http::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::digest::Hashing;
use super::limits::{self, Budget};
use super::manifest::{Descriptor, Document, choose_platform};
use super::source::{Blob, Resolved, keep};
use super::{Digest, Error, Reference};
use client::{Registry, SILENCE};

/// All forms of manifests and indexes that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Fetches an image. `present` finds a blob that is in the store already. Blocks; must not be called from within an
/// async runtime.
pub(super) fn pull(
    reference: &Reference,
    credentials: Option<(String, String)>,
    staging: &Path,
    budget: &Budget,
    present: impl Fn(Digest) -> Option<PathBuf>,
) -> Result<Resolved, Error> {
    // A runtime of its own for the time of the pull: one thread, this one.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::io("starting a pull", source))?;
    runtime.block_on(async {
        let registry = Registry::new(reference, credentials).map_err(|reason| failed(reference, reason))?;
        let mut pull = Pull {
            reference,
            registry,
            staging,
            budget,
        };
        pull.run(present).await
    })
}

fn failed(reference: &Reference, reason: impl Into<String>) -> Error {
    Error::Pull {
        reference: reference.to_string(),
        reason: reason.into(),
    }
}

struct Pull<'a> {
    reference: &'a Reference,
    registry: Registry,
    staging: &'a Path,
    budget: &'a Budget,
}

impl Pull<'_> {
    async fn run(&mut self, present: impl Fn(Digest) -> Option<PathBuf>) -> Result<Resolved, Error> {
        let reference = self.reference;
        let name = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        };
        let (mut bytes, mut media_type) = self.manifest(&name).await?;
        let digest = Digest::of(&bytes);
        if reference.digest.is_some_and(|wanted| wanted != digest) {
            return Err(Error::Invalid(format!(
                "the registry sent {digest} for {reference}"
            )));
        }
        for _ in 0..=limits::INDEX_DEPTH {
            match Document::parse(&bytes, &media_type)? {
                Document::Index(entries) => {
                    let entry = choose_platform(&entries)?;
                    let (inner, declared) = self.manifest(&entry.digest.to_string()).await?;
                    verify(entry, Digest::of(&inner), inner.len() as u64)?;
                    (bytes, media_type) = (inner, declared);
                }
                Document::Manifest { config, layers } => {
                    let config = self.small_blob(&config).await?;
                    let mut blobs = Vec::with_capacity(layers.len());
                    for layer in &layers {
                        blobs.push(match present(layer.digest) {
                            Some(path) => Blob {
                                digest: layer.digest,
                                size: layer.size,
                                path,
                            },
                            None => self.blob(layer).await?,
                        });
                    }
                    return Ok(Resolved {
                        digest,
                        manifest: bytes,
                        config,
                        layers: blobs,
                        names: vec![reference.to_string()],
                    });
                }
            }
        }
        Err(Error::Invalid("its indexes are nested too deep".to_owned()))
    }

    /// A manifest or index by tag or digest, and its media type.
    async fn manifest(&mut self, name: &str) -> Result<(Vec<u8>, String), Error> {
        let path = format!("manifests/{name}");
        let answer = self.registry.get(&path, MANIFESTS).await.map_err(|reason| {
            let what = self.reference;
            failed(what, format!("failed to resolve reference \"{what}\": {reason}"))
        })?;
        let media_type = answer
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_owned())
            // Some servers say only that it is JSON: then the document's own word counts.
            .filter(|value| value.contains("manifest") || value.contains("index"))
            .unwrap_or_default();
        Ok((self.collect(answer).await?, media_type))
    }

    async fn small_blob(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let answer = self.open(descriptor).await?;
        let bytes = self.collect(answer).await?;
        verify(descriptor, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Streams a blob to the staging directory.
    async fn blob(&mut self, descriptor: &Descriptor) -> Result<Blob, Error> {
        // Refused before the first byte if it cannot fit.
        self.budget.charge(descriptor.size)?;
        let mut body = self.open(descriptor).await?.into_body();
        let temporary = tempfile::NamedTempFile::new_in(self.staging)
            .map_err(|source| Error::path("making a file in", self.staging, source))?;
        let mut hashing = Hashing::new(temporary);
        let mut left = descriptor.size;
        while let Some(frame) = self.next(&mut body).await? {
            left = left.checked_sub(frame.len() as u64).ok_or_else(|| {
                Error::Invalid(format!("blob {} is longer than promised", descriptor.digest))
            })?;
            hashing
                .write_all(&frame)
                .map_err(|source| Error::io("writing a blob", source))?;
        }
        let blob = keep(hashing, self.staging)?;
        verify(descriptor, blob.digest, blob.size)?;
        Ok(blob)
    }

    async fn open(&mut self, descriptor: &Descriptor) -> Result<Response<Incoming>, Error> {
        let path = format!("blobs/{}", descriptor.digest);
        self.registry.get(&path, "*/*").await.map_err(|reason| {
            failed(
                self.reference,
                format!("failed to fetch {}: {reason}", descriptor.digest),
            )
        })
    }

    async fn next(&self, body: &mut Incoming) -> Result<Option<bytes::Bytes>, Error> {
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let frame = frame.map_err(|_| failed(self.reference, "the registry stopped sending"))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(failed(self.reference, format!("the connection broke: {error}")));
                }
            }
        }
    }

    async fn collect(&self, answer: Response<Incoming>) -> Result<Vec<u8>, Error> {
        let limited = Limited::new(answer.into_body(), limits::DOCUMENT as usize);
        let body = tokio::time::timeout(SILENCE, limited.collect()).await;
        let body = body.map_err(|_| failed(self.reference, "the registry stopped sending"))?;
        let body = body.map_err(|error| failed(self.reference, format!("reading a document: {error}")))?;
        Ok(body.to_bytes().into())
    }
}

fn verify(descriptor: &Descriptor, digest: Digest, size: u64) -> Result<(), Error> {
    if digest == descriptor.digest && size == descriptor.size {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the registry sent {size} bytes with the digest {digest} for {} of {} bytes",
        descriptor.digest, descriptor.size
    )))
}

#[cfg(test)]
mod tests;
