//! Small things from a registry, into memory: manifests, indexes, configurations.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::client::{Registry, SILENCE};
use super::failure::{Failure, pause};
use crate::image::manifest::Descriptor;
use crate::image::{Digest, limits};

/// All forms of manifests and indexes that are understood.
const MANIFESTS: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json",
);
/// How often a document is asked for.
const ATTEMPTS: u32 = 4;

impl Registry {
    /// A manifest or index by tag or digest, and its media type (empty if the server only says that it is JSON).
    pub(super) async fn manifest(&self, name: &str) -> Result<(Vec<u8>, String), Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, MANIFESTS);
        self.document(&format!("manifests/{name}"), &headers).await
    }

    /// A blob that fits into memory, verified.
    pub(super) async fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Failure> {
        if descriptor.size > limits::DOCUMENT {
            return Err(Failure::lasting(format!(
                "{} has {} bytes, too many for a document",
                descriptor.digest, descriptor.size
            )));
        }
        let path = format!("blobs/{}", descriptor.digest);
        let mut damaged = None;
        for _ in 0..2 {
            let (bytes, _) = self.document(&path, &HeaderMap::new()).await?;
            match verify(descriptor, Digest::of(&bytes), bytes.len() as u64) {
                Ok(()) => return Ok(bytes),
                Err(failure) => damaged = Some(failure),
            }
        }
        Err(damaged.unwrap_or_else(|| Failure::lasting("no answer")))
    }

    async fn document(&self, path: &str, headers: &HeaderMap) -> Result<(Vec<u8>, String), Failure> {
        let mut attempt = 0;
        loop {
            let failure = match self.get(path, headers).await {
                Ok(answer) => {
                    let media_type = media_type(&answer);
                    match collect(answer).await {
                        Ok(bytes) => return Ok((bytes, media_type)),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            attempt += 1;
            // A registry that is not there is an error at once: the caller has its own way to wait.
            if !failure.passing || failure.connecting || attempt == ATTEMPTS {
                return Err(failure);
            }
            pause(attempt, &failure).await;
        }
    }
}

fn media_type(answer: &Response<Incoming>) -> String {
    answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_owned())
        // Some servers say only that it is JSON: then the document's own word counts.
        .filter(|value| value.contains("manifest") || value.contains("index"))
        .unwrap_or_default()
}

async fn collect(answer: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let limited = Limited::new(answer.into_body(), limits::DOCUMENT as usize);
    let body = tokio::time::timeout(SILENCE, limited.collect()).await;
    let body = body.map_err(|_| Failure::passing("the registry stopped sending"))?;
    let body = body.map_err(|error| {
        let reason = format!("reading a document: {error}");
        if error.is::<http_body_util::LengthLimitError>() {
            Failure::lasting(reason)
        } else {
            Failure::passing(reason)
        }
    })?;
    Ok(body.to_bytes().into())
}

/// Checks what was sent against what was promised.
pub(super) fn verify(descriptor: &Descriptor, digest: Digest, size: u64) -> Result<(), Failure> {
    if digest == descriptor.digest && size == descriptor.size {
        return Ok(());
    }
    Err(Failure::lasting(format!(
        "the registry sent {size} bytes with the digest {digest} for {} of {} bytes",
        descriptor.digest, descriptor.size
    )))
}
