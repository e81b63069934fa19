//! The embedded store: the index, the file and the writer thread behind the [`Store`] trait.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::cache::Cache;
use super::disk::{Disk, DiskError, File, Medium, file_in};
use super::index::{Index, Limits};
use super::sealed::Sealed;
use super::snapshot::Snapshot;
use super::writer::{Clock, Job, Writer, now};
use super::{Expect, Store, StoreError, Write};
use crate::encryption::{Encryption, path_of};
use crate::object::{GroupResource, Object};

/// Derives the selectable fields of a loaded object.
pub type Fields = fn(&GroupResource, &serde_json::Value) -> std::collections::BTreeMap<String, String>;

/// Settings of the embedded store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Selectable fields of loaded objects.
    pub fields: Fields,
    /// Most events of history per resource.
    pub history_events: usize,
    /// Most bytes of history per resource.
    pub history_bytes: usize,
    /// Age of history in seconds (upstream compacts etcd every five minutes).
    pub history_age: u64,
    /// How objects are encrypted in the file.
    pub encryption: Arc<Encryption>,
    /// What time it is, in Unix seconds: of expiry, and of history's age.
    pub clock: Clock,
}

impl Options {
    /// The usual limits, and nothing encrypted.
    pub fn new(fields: Fields) -> Self {
        Self {
            fields,
            history_events: 10_000,
            history_bytes: 8 << 20,
            history_age: 300,
            encryption: Arc::default(),
            clock: now,
        }
    }
}

/// The embedded store. Dropping the last handle ends the writer after the queued writes.
#[derive(Debug)]
pub struct Embedded {
    cache: Cache,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    failed: watch::Receiver<Option<String>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Embedded {
    /// Opens `DIR/store.redb`, or creates it.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, crate::Error> {
        std::fs::create_dir_all(dir).map_err(|source| crate::Error::Io {
            what: format!("create {}", dir.display()),
            source,
        })?;
        Self::open_medium(Box::new(File(file_in(dir))), options)
    }

    /// Opens any medium.
    pub(super) fn open_medium(medium: Box<dyn Medium>, options: &Options) -> Result<Self, crate::Error> {
        let failed = |error: DiskError| crate::Error::Store(error.to_string());
        let mut disk = Disk::open(medium).map_err(failed)?;
        let (index, sealed) = load(&disk, options).map_err(failed)?;
        disk.keep_reserve();
        let cache = Cache::new(index, sealed);
        let (jobs, queue) = mpsc::channel();
        let (fail, failed) = watch::channel(None);
        let writer = Writer {
            cache: cache.clone(),
            disk,
            failed: fail,
            clock: options.clock,
            expire_from: 0,
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let failed = writer.failed.clone();
                super::guarded(&failed, || writer.run(&queue));
            })
            .map_err(|source| crate::Error::Io {
                what: "start the store's thread".to_owned(),
                source,
            })?;
        Ok(Self {
            cache,
            jobs: Some(jobs),
            failed,
            thread: Some(thread),
        })
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn load(disk: &Disk, options: &Options) -> Result<(Index, Sealed), DiskError> {
    let sealed = Sealed::new(Arc::clone(&options.encryption));
    let rules = options.encryption.rules();
    let index = std::cell::RefCell::new(Index::new(Limits {
        events: options.history_events,
        bytes: options.history_bytes,
        age: options.history_age,
    }));
    let mut last: Option<Arc<GroupResource>> = None;
    disk.load(
        |meta| index.borrow_mut().set_revision(meta.revision, meta.compacted),
        |resource, at| index.borrow_mut().set_changed(Arc::new(resource), at),
        |row| {
            let resource = match &last {
                Some(known) if **known == row.resource => Arc::clone(known),
                _ => Arc::clone(last.insert(Arc::new(row.resource))),
            };
            let path = path_of(&resource, row.key);
            let json = match rules.of(&resource).open(&path, row.stored) {
                Ok(opened) => {
                    if opened.stale {
                        sealed.mark_stale([(Arc::clone(&resource), row.key.to_owned())]);
                    }
                    opened.plain
                }
                Err(error) => {
                    tracing::error!(path, %error, "a stored object cannot be decrypted; it stays as it is");
                    sealed.unreadable(resource, row.key, &format!("unable to transform key {path:?}: {error}"));
                    return Ok(());
                }
            };
            let value: serde_json::Value = match serde_json::from_slice(&json) {
                Ok(value) => value,
                Err(error) => {
                    // One object must not keep all others from being served; its row stays as it is.
                    let (group, resource) = (&resource.group, &resource.resource);
                    tracing::error!(group, resource, key = row.key, %error, "an object cannot be read and is left out");
                    return Ok(());
                }
            };
            let mut object = Object::describe(&value, Bytes::from(json.into_owned()));
            object.resource_version = row.revision;
            object.fields = (options.fields)(&resource, &value).into_iter().collect();
            index
                .borrow_mut()
                .load(&resource, row.key.to_owned(), object, row.expires);
            Ok(())
        },
    )?;
    Ok((index.into_inner(), sealed))
}

impl Store for Embedded {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        if let Some(error) = self.cache.sealed().fault(&write.resource, &write.key) {
            // It is there, whatever it is: the answer to a create is that its place is taken.
            let error = if write.expect == Expect::Absent {
                StoreError::Exists
            } else {
                error
            };
            return std::future::ready(Err(error)).boxed();
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Job::Write(write, reply));
        async move {
            if !sent {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed))
        }
        .boxed()
    }

    fn snapshot(&self) -> BoxFuture<'static, Result<Snapshot, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(Job::View(reply));
        async move {
            if !sent {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed)).map(Snapshot::new)
        }
        .boxed()
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        super::reason(self.failed.clone())
    }
}
