//! Pushing (OCI distribution spec, "Push"): blobs that the registry lacks, then the manifest.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::Access;
use super::auth::encode;
use super::client::{Body, Registry, full, target};
use super::failure::{Failure, pause};
use crate::image::digest::Running;
use crate::image::{Digest, Error, Reference};

/// Blobs that are sent at the same time.
const AT_ONCE: usize = 4;
/// How often a blob is sent.
const ATTEMPTS: u32 = 4;
/// Piece of a blob in memory.
const PIECE: usize = 256 << 10;

/// A blob to be sent.
#[derive(Debug, Clone)]
pub(in crate::image) struct Blob {
    pub digest: Digest,
    pub size: u64,
    pub path: PathBuf,
}

/// What is sent where.
pub(in crate::image) struct Push<'a> {
    pub to: &'a Reference,
    pub manifest: &'a [u8],
    pub media_type: &'a str,
    pub blobs: Vec<Blob>,
    /// Repositories of the same registry that may have the blobs already.
    pub mounts: Vec<String>,
}

/// Sends an image. The registry then has it under the reference's tag (or its digest), with the very bytes of the
/// manifest, so that its digest is the same for all who pull it.
pub(in crate::image) async fn push(push: &Push<'_>, access: &Access) -> Result<(), Error> {
    let failed = |failure: Failure| Error::Push {
        reference: push.to.to_string(),
        reason: failure.to_string(),
    };
    let registry = Registry::connect(push.to, access, "pull,push")
        .await
        .map_err(failed)?;
    futures::stream::iter(&push.blobs)
        .map(async |blob| {
            let sent = ensure(&registry, blob, &push.mounts).await;
            sent.map_err(|failure| Failure::lasting(format!("failed to send {}: {failure}", blob.digest)))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .map_err(failed)?;
    manifest(&registry, push).await.map_err(failed)
}

/// Sends a blob unless it is there.
async fn ensure(registry: &Registry, blob: &Blob, mounts: &[String]) -> Result<(), Failure> {
    let mut attempt = 0;
    loop {
        let failure = match once(registry, blob, mounts).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        attempt += 1;
        if !failure.passing || attempt == ATTEMPTS {
            return Err(failure);
        }
        pause(attempt, &failure).await;
    }
}

async fn once(registry: &Registry, blob: &Blob, mounts: &[String]) -> Result<(), Failure> {
    let url = registry.url(&format!("blobs/{}", blob.digest));
    let none = HeaderMap::new();
    let empty = || Ok(full(Bytes::new()));
    let answer = registry.call(&Method::HEAD, &url, &none, &empty).await?;
    match answer.status() {
        StatusCode::OK => return Ok(()),
        StatusCode::NOT_FOUND => {}
        status => return Err(Failure::answer("HEAD", &url, status, answer.headers())),
    }
    let mut uploads = registry.url("blobs/uploads/");
    if let Some(from) = mounts.first() {
        uploads = format!("{uploads}?mount={}&from={}", blob.digest, encode(from));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    let answer = registry.call(&Method::POST, &uploads, &headers, &empty).await?;
    match answer.status() {
        StatusCode::CREATED => return Ok(()), // mounted from the other repository
        StatusCode::ACCEPTED => {}
        status => return Err(Failure::answer("POST", &uploads, status, answer.headers())),
    }
    let location = answer
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .ok_or_else(|| Failure::lasting("the registry does not say where to send a blob"))?;
    let base: Uri = uploads
        .parse()
        .map_err(|error| Failure::lasting(format!("{uploads:.300}: {error}")))?;
    let upload = target(&base, location).map_err(Failure::lasting)?.to_string();
    let separator = if upload.contains('?') { '&' } else { '?' };
    let upload = format!("{upload}{separator}digest={}", encode(&blob.digest.to_string()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(blob.size));
    let answer = registry
        .call(&Method::PUT, &upload, &headers, &|| FileBody::open(blob))
        .await
        // The body's own reason is lost on its way through the connection.
        .map_err(|failure| match damage(blob) {
            Some(damage) => damage,
            None => failure,
        })?;
    match answer.status() {
        StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
        status => {
            Err(damage(blob).unwrap_or_else(|| Failure::answer("PUT", &upload, status, answer.headers())))
        }
    }
}

async fn manifest(registry: &Registry, push: &Push<'_>) -> Result<(), Failure> {
    let digest = Digest::of(push.manifest);
    let name = match (&push.to.tag, &push.to.digest) {
        (Some(tag), _) => tag.clone(),
        (None, Some(wanted)) if *wanted != digest => {
            return Err(Failure::lasting(format!(
                "the image's digest is {digest}, it cannot become {wanted}"
            )));
        }
        (None, _) => digest.to_string(),
    };
    let url = registry.url(&format!("manifests/{name}"));
    let mut headers = HeaderMap::new();
    let media_type = HeaderValue::from_str(push.media_type)
        .map_err(|_| Failure::lasting("the manifest's media type cannot be sent in a header"))?;
    headers.insert(CONTENT_TYPE, media_type);
    let body = || Ok(full(Bytes::copy_from_slice(push.manifest)));
    let mut attempt = 0;
    loop {
        let failure = match registry.call(&Method::PUT, &url, &headers, &body).await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                let theirs = answer.headers().get("docker-content-digest");
                return match theirs.and_then(|value| value.to_str().ok()) {
                    Some(theirs) if theirs != digest.to_string() => Err(Failure::lasting(format!(
                        "the registry took the manifest {digest} for {theirs:.100}"
                    ))),
                    _ => Ok(()),
                };
            }
            Ok(answer) => Failure::answer("PUT", &url, answer.status(), answer.headers()),
            Err(failure) => failure,
        };
        attempt += 1;
        if !failure.passing || attempt == ATTEMPTS {
            return Err(failure);
        }
        pause(attempt, &failure).await;
    }
}

/// Whether a blob is not what its digest says: then no registry will take it.
fn damage(blob: &Blob) -> Option<Failure> {
    let mut file = File::open(&blob.path).ok()?;
    let mut hash = Running::default();
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    (hash.digest() != blob.digest).then(|| {
        Failure::lasting("it is damaged in the image store (`keelson image check --repair` fetches it again)")
    })
}

/// A file that is sent piece by piece. It is read when the connection takes more, on the thread of the push.
struct FileBody {
    file: File,
    left: u64,
}

impl FileBody {
    fn open(blob: &Blob) -> Result<Body, Failure> {
        let file = File::open(&blob.path)
            .map_err(|error| Failure::lasting(format!("reading {}: {error}", blob.path.display())))?;
        Ok(Self {
            file,
            left: blob.size,
        }
        .boxed_unsync())
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let want = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; want];
        Poll::Ready(Some(match self.file.read(&mut piece) {
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                piece.truncate(count);
                self.left -= count as u64;
                Ok(Frame::data(piece.into()))
            }
            Err(error) => Err(error),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
