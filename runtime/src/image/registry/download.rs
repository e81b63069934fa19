//! One blob into a file: gone on with after a break, be it of the connection or of a former process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nix::fcntl::{Flock, FlockArg};

use super::client::{Registry, SILENCE};
use super::failure::{Failure, pause};
use super::{document, range};
use crate::image::digest::Running;
use crate::image::manifest::Descriptor;
use crate::image::source::Blob;

/// Attempts without a byte more than before.
const ATTEMPTS: u32 = 6;
/// How often a blob is fetched anew because its bytes were wrong.
const DAMAGED: u32 = 2;

/// Where blobs are downloaded to.
#[derive(Debug, Clone)]
pub(in crate::image) struct Downloads {
    /// Broken downloads, by digest: a later pull goes on with them.
    pub partial: PathBuf,
    /// Complete ones.
    pub staging: PathBuf,
}

/// A blob so far.
struct Partial {
    file: File,
    path: PathBuf,
    have: u64,
    hash: Running,
    /// Held until the download has its final name.
    _lock: Option<Flock<File>>,
}

impl Downloads {
    /// Fetches a blob, and verifies it. Retries what may pass and goes on where it stopped.
    pub(super) async fn fetch(&self, registry: &Registry, wanted: &Descriptor) -> Result<Blob, Failure> {
        let mut partial = self.open(wanted).map_err(local)?;
        let (mut attempt, mut damaged, mut furthest) = (0, 0, partial.have);
        loop {
            let result = if partial.have == wanted.size {
                Ok(())
            } else {
                partial.go_on(registry, wanted).await
            };
            if partial.have > furthest {
                (furthest, attempt) = (partial.have, 0);
            }
            let failure = match result {
                Ok(()) if partial.have == wanted.size => {
                    match document::verify(wanted, partial.hash.digest(), partial.have) {
                        Ok(()) => return self.keep(&partial, wanted).map_err(local),
                        Err(failure) => {
                            partial.restart().map_err(local)?;
                            damaged += 1;
                            if damaged > DAMAGED {
                                return Err(failure);
                            }
                            furthest = 0;
                            failure
                        }
                    }
                }
                Ok(()) => Failure::passing(format!(
                    "the registry sent only {} of {} bytes",
                    partial.have, wanted.size
                )),
                Err(failure) => failure,
            };
            attempt += 1;
            if (!failure.passing && damaged == 0) || attempt >= ATTEMPTS {
                return Err(failure);
            }
            tracing::debug!(digest = %wanted.digest, have = partial.have, %failure, "a download is tried again");
            pause(attempt - 1, &failure).await;
        }
    }

    /// The file for a blob, with what an earlier download left in it. If somebody else is at it, one of our own.
    fn open(&self, wanted: &Descriptor) -> std::io::Result<Partial> {
        let path = self.partial.join(wanted.digest.hex());
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let Ok(lock) = Flock::lock(file.try_clone()?, FlockArg::LockExclusiveNonblock) else {
            return self.own(wanted);
        };
        // Its last holder may have moved it to its final place between our opening and locking.
        if !is_same(&file, &path) {
            return self.own(wanted);
        }
        let mut partial = Partial {
            file,
            path,
            have: 0,
            hash: Running::default(),
            _lock: Some(lock),
        };
        if partial.file.metadata()?.len() > wanted.size {
            partial.restart()?;
        }
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = partial.file.read(&mut buffer)?;
            if count == 0 {
                return Ok(partial);
            }
            partial.hash.update(&buffer[..count]);
            partial.have += count as u64;
        }
    }

    fn own(&self, wanted: &Descriptor) -> std::io::Result<Partial> {
        let path = self.staging.join(format!("{}.download", wanted.digest.hex()));
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        Ok(Partial {
            file,
            path,
            have: 0,
            hash: Running::default(),
            _lock: None,
        })
    }

    fn keep(&self, partial: &Partial, wanted: &Descriptor) -> std::io::Result<Blob> {
        let path = self.staging.join(wanted.digest.hex());
        std::fs::rename(&partial.path, &path)?;
        Ok(Blob {
            digest: wanted.digest,
            size: wanted.size,
            path,
        })
    }
}

impl Partial {
    /// One request for the rest.
    async fn go_on(&mut self, registry: &Registry, wanted: &Descriptor) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        if self.have > 0 {
            let range = format!("bytes={}-", self.have);
            // Digits and ASCII: always a header value.
            headers.extend(HeaderValue::from_str(&range).ok().map(|value| (RANGE, value)));
        }
        let path = format!("blobs/{}", wanted.digest);
        let url = registry.url(&path);
        let empty = || Ok(super::client::full(bytes::Bytes::new()));
        let answer = registry.call(&http::Method::GET, &url, &headers, &empty).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if self.have > 0 => {
                let header = answer.headers().get(CONTENT_RANGE);
                let header = header.and_then(|value| value.to_str().ok());
                if let Err(reason) = range::goes_on(header, self.have, wanted.size) {
                    self.restart().map_err(local)?;
                    return Err(Failure::passing(reason));
                }
            }
            // A server that knows no ranges sends all of it.
            StatusCode::OK => self.restart().map_err(local)?,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart().map_err(local)?;
                return Err(Failure::passing(
                    "the registry does not go on where the download stopped",
                ));
            }
            status => return Err(Failure::answer("GET", &url, status, answer.headers())),
        }
        self.receive(answer, wanted).await
    }

    async fn receive(&mut self, answer: Response<Incoming>, wanted: &Descriptor) -> Result<(), Failure> {
        let mut body = answer.into_body();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let frame = match frame {
                Err(_) => return Err(Failure::passing("the registry stopped sending")),
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => {
                    return Err(Failure::passing(format!("the connection broke: {error}")));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() as u64 > wanted.size - self.have {
                self.restart().map_err(local)?;
                return Err(Failure::lasting(format!(
                    "the registry sent more than the {} bytes of {}",
                    wanted.size, wanted.digest
                )));
            }
            self.file.write_all(&data).map_err(local)?;
            self.hash.update(&data);
            self.have += data.len() as u64;
        }
    }

    /// Forgets all bytes.
    fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.have = 0;
        self.hash = Running::default();
        Ok(())
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        _ => false,
    }
}

/// A failure of this machine, not of the registry.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn local(error: std::io::Error) -> Failure {
    Failure::lasting(format!("writing a blob: {error}"))
}
