//! The thread that commits: everything that queued up while the last commit was running becomes the next one.
//!
//! It is the only one that changes the index, so that it can check preconditions against it without a lock held during
//! the commit. It never waits on a timer for more writes to come; its only timer waits for the next expiry.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::disk::Disk;
use super::index::{Applied, Index};
use super::sealed::Sealed;
use super::{Change, Expect, StoreError, Write, revision};
use crate::object::{GroupResource, Object};

/// Most writes in one commit; bounds the memory of a transaction.
const MOST_PER_COMMIT: usize = 1024;

/// A write and where its answer goes.
#[derive(Debug)]
pub struct Job {
    /// The write.
    pub write: Write,
    /// The answer.
    pub reply: oneshot::Sender<Result<Arc<Object>, StoreError>>,
}

/// Answers that wait for the commit.
type Replies = Vec<(oneshot::Sender<Result<Arc<Object>, StoreError>>, Arc<Object>)>;

/// Unix time in seconds.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The writer's state.
#[derive(Debug)]
pub struct Writer {
    /// The index that it feeds.
    pub index: Arc<RwLock<Index>>,
    /// The file.
    pub disk: Disk,
    /// How objects are stored.
    pub sealed: Arc<Sealed>,
}

impl Writer {
    /// Works until all senders are gone; queued writes are committed first.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let deadline = self.read(Index::next_deadline);
            let first = match deadline {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // Waits for the next object to expire or the next event to fall out of the history.
                Some(at) => jobs.recv_timeout(Duration::from_secs(at.saturating_sub(now()))),
            };
            match first {
                Ok(job) => {
                    let mut batch = vec![job];
                    batch.extend(jobs.try_iter().take(MOST_PER_COMMIT - 1));
                    self.commit(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.expire(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn read<T>(&self, what: impl FnOnce(&Index) -> T) -> T {
        // A panic while the lock is held cannot leave the index half-changed in a way that matters more than stopping.
        what(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn expire(&mut self) {
        let expired = self.read(|index| index.expired(now(), MOST_PER_COMMIT));
        let failed = !expired.is_empty() && {
            let batch = expired
                .into_iter()
                .map(|(resource, key, revision)| Job {
                    write: Write {
                        resource,
                        key,
                        expect: Expect::Revision(revision),
                        change: Change::Delete,
                    },
                    reply: oneshot::channel().0,
                })
                .collect();
            !self.commit(batch)
        };
        if failed {
            // The disk refuses, and would refuse again at once: this pause keeps the thread from spinning.
            std::thread::sleep(Duration::from_secs(1));
        }
        self.index
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .compact(now());
    }

    /// Commits a batch; false if the disk refused.
    fn commit(&mut self, batch: Vec<Job>) -> bool {
        let (changes, replies) = self.read(|index| plan(index, batch));
        if changes.is_empty() {
            return true;
        }
        let before = self.read(Index::revision);
        let rules = self.sealed.encryption().rules();
        let error = match self.disk.commit(&changes, &rules) {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "commit failed");
                match self.disk.recover() {
                    // The transaction reached the disk although an error was reported.
                    Ok(revision) if revision > before => None,
                    Ok(_) if error.is_full() => Some(StoreError::Full(error.to_string())),
                    Ok(_) => Some(StoreError::Failed(error.to_string())),
                    Err(again) => {
                        tracing::error!(error = %again, "the store could not be opened again");
                        Some(if error.is_full() || again.is_full() {
                            StoreError::Full(error.to_string())
                        } else {
                            StoreError::Failed(error.to_string())
                        })
                    }
                }
            }
        };
        if let Some(error) = error {
            for (reply, _) in replies {
                drop(reply.send(Err(error.clone())));
            }
            return false;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.sealed.touched(&changes, &rules);
        index.apply(changes, now());
        drop(index);
        self.sealed.stored(sealed, &rules);
        for (reply, object) in replies {
            drop(reply.send(Ok(object)));
        }
        true
    }
}

/// Checks each write against the index and the writes before it in the batch, and gives out revisions. Writes that
/// are refused are answered here.
fn plan(index: &Index, batch: Vec<Job>) -> (Vec<Applied>, Replies) {
    let mut next = index.revision();
    let mut changes: Vec<Applied> = Vec::with_capacity(batch.len());
    let mut replies = Vec::with_capacity(batch.len());
    let mut pending: HashMap<(Arc<GroupResource>, String), Option<Arc<Object>>> = HashMap::new();
    for Job { write, reply } in batch {
        let place = (Arc::clone(&write.resource), write.key.clone());
        let current = match pending.get(&place) {
            Some(object) => object.clone(),
            None => index.get(&write.resource, &write.key).cloned(),
        };
        match check(write, current.as_ref(), next + 1) {
            Ok(change) => {
                next += 1;
                let after = (!change.deleted).then(|| Arc::clone(&change.object));
                pending.insert(place, after);
                replies.push((reply, Arc::clone(&change.object)));
                changes.push(change);
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }
    (changes, replies)
}

/// One write against the object that it meets.
fn check(write: Write, current: Option<&Arc<Object>>, revision: u64) -> Result<Applied, StoreError> {
    match (write.expect, current) {
        (Expect::Absent, Some(_)) => return Err(StoreError::Exists),
        (Expect::Revision(_), None) => return Err(StoreError::NotFound),
        (Expect::Revision(expected), Some(current)) if current.resource_version != expected => {
            return Err(StoreError::Conflict(Arc::clone(current)));
        }
        _ => {}
    }
    let (deleted, mut object, expires) = match (write.change, current) {
        (Change::Put { object, expires }, _) => (false, object, expires),
        (Change::Delete, Some(current)) => (true, Object::clone(current), None),
        (Change::Delete, None) => return Err(StoreError::NotFound),
    };
    object.bytes = revision::splice(&object.bytes, revision)
        .ok_or_else(|| StoreError::Failed("the object was not encoded by the server".to_owned()))?;
    object.resource_version = revision;
    Ok(Applied {
        resource: write.resource,
        key: write.key,
        object: Arc::new(object),
        deleted,
        expires,
    })
}
