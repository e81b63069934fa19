//! Unpacking the layers of an image, several at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ImageStore;
use super::index::Layer;
use super::staging::Staging;
use crate::image::layer::{self, Implicit, Settled};
use crate::image::limits::{self, Budget};
use crate::image::source::Blob;
use crate::image::{Digest, Error};

/// A layer that is unpacked, in the store already or still in the staging directory.
pub(super) struct Unpacked {
    pub layer: Layer,
    /// Its `diff` directory.
    pub path: PathBuf,
}

/// A layer to be unpacked.
struct Job<'a> {
    blob: &'a Blob,
    diff_id: Digest,
    chain_id: Digest,
    path: PathBuf,
    /// Whether it is in the store already.
    present: bool,
}

impl ImageStore {
    /// Unpacks those of an image's layers that are not in the store. [`limits::WORKERS`] layers at most are worked on
    /// at once, and no more than there are processors: that bounds the memory.
    pub(super) fn unpack(
        &self,
        blobs: &[Blob],
        diff_ids: &[Digest],
        staging: &Staging,
        budget: &Budget,
    ) -> Result<Vec<Unpacked>, Error> {
        let mut jobs: Vec<Job> = Vec::with_capacity(blobs.len());
        for (blob, diff_id) in blobs.iter().zip(diff_ids) {
            let chain_id = Digest::chain(jobs.last().map(|below| below.chain_id), *diff_id);
            let published = self.layer(chain_id);
            let present = published.is_dir();
            let path = if present {
                published
            } else {
                staging
                    .path()
                    .join(format!("layer-{}", chain_id.hex()))
                    .join("diff")
            };
            jobs.push(Job {
                blob,
                diff_id: *diff_id,
                chain_id,
                path,
                present,
            });
        }
        let mut implicit = alone(&jobs, budget)?;
        for (index, job) in jobs.iter().enumerate() {
            let Some(directories) = implicit.remove(&index) else {
                continue;
            };
            let lowers: Vec<&Path> = jobs[..index].iter().map(|below| below.path.as_path()).collect();
            let fits = match directories {
                Some(directories) => layer::settle(layer::open(&job.path)?, &lowers, &directories)?,
                None => Settled::Again,
            };
            if fits == Settled::Again {
                fs::remove_dir_all(&job.path).map_err(|source| Error::path("removing", &job.path, source))?;
                let part = budget.part();
                let diff_id = layer::unpack(open(job)?, make(&job.path)?, &lowers, &part)?;
                finish(job, diff_id, &part)?;
            }
        }
        jobs.into_iter()
            .map(|job| {
                Ok(Unpacked {
                    layer: Layer {
                        blob: job.blob.digest,
                        chain_id: job.chain_id,
                        size: read_size(&job.path)?,
                    },
                    path: job.path,
                })
            })
            .collect()
    }
}

/// Directories that a layer only passes through; `None` for one that must be unpacked again.
type Directories = Option<BTreeMap<PathBuf, Implicit>>;

/// Unpacks all layers that are not there yet, each without looking at those below.
fn alone(jobs: &[Job<'_>], budget: &Budget) -> Result<BTreeMap<usize, Directories>, Error> {
    let todo: Vec<usize> = (0..jobs.len())
        // A layer that an earlier attempt left in the staging directory is whole as well.
        .filter(|index| !jobs[*index].present && !size_file(&jobs[*index].path).exists())
        .collect();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = limits::WORKERS.min(processors).min(todo.len());
    let (next, done, failure) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()), Mutex::new(None));
    let work = || {
        while let Some(index) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            match one(&jobs[*index], budget) {
                Ok(implicit) => {
                    lock(&done).insert(*index, implicit);
                }
                Err(error) => {
                    // The first failure is the reason; the others only stop.
                    lock(&failure).get_or_insert(error);
                    budget.stop();
                    return;
                }
            }
        }
    };
    if workers == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
    }
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    Ok(std::mem::take(&mut lock(&done)))
}

/// A lock that a panic of another worker cannot take away: what it guards is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(job: &Job<'_>, budget: &Budget) -> Result<Directories, Error> {
    let part = budget.part();
    let unpacked = layer::alone(open(job)?, make(&job.path)?, &part)?;
    let Some(diff_id) = unpacked.diff_id else {
        part.refund();
        return Ok(None);
    };
    finish(job, diff_id, &part)?;
    Ok(Some(unpacked.implicit))
}

fn open(job: &Job<'_>) -> Result<BufReader<File>, Error> {
    let path = &job.blob.path;
    let file = File::open(path).map_err(|source| Error::path("opening", path, source))?;
    Ok(BufReader::with_capacity(64 << 10, file))
}

/// Makes a layer's directory. Its mode, should the layer not give one, is what `/` gets in the container.
fn make(path: &Path) -> Result<std::os::fd::OwnedFd, Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|source| Error::path("creating", path, source))?;
    layer::open(path)
}

fn finish(job: &Job<'_>, found: Digest, part: &Budget) -> Result<(), Error> {
    if found != job.diff_id {
        return Err(Error::Damaged {
            digest: job.blob.digest,
            reason: format!(
                "it unpacks to {found}, but the configuration says {}",
                job.diff_id
            ),
        });
    }
    write_size(&job.path, part.used())
}

/// The size of a layer stands beside its `diff` directory; it is written last.
fn size_file(diff: &Path) -> PathBuf {
    diff.with_file_name("size")
}

fn write_size(diff: &Path, size: u64) -> Result<(), Error> {
    let path = size_file(diff);
    File::create(&path)
        .and_then(|mut file| file.write_all(size.to_string().as_bytes()))
        .map_err(|source| Error::path("writing", &path, source))
}

fn read_size(diff: &Path) -> Result<u64, Error> {
    let path = size_file(diff);
    let text = fs::read_to_string(&path).map_err(|source| Error::path("reading", &path, source))?;
    text.trim()
        .parse()
        .map_err(|_| Error::Invalid(format!("{} holds no number", path.display())))
}
