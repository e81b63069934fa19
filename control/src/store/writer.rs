//! The thread that commits: everything that queued up while the last commit was running becomes the next one.
//!
//! It is the only one that changes the index, so that it can check preconditions against it without a lock held during
//! the commit. It never waits on a timer for more writes to come; its only timer waits for the next expiry. But where writes
//! come several at a time, those who make them get the processor first: of sixteen clients on two cores, half as many
//! writes again share a commit, and a write costs a tenth less. Where nobody else wants the processor, that is no time at
//! all.
//!
//! A commit that fails for another reason than a full disk is the end: what of it is on the disk is not known, nor what
//! the disk would do with the next one (etcd stops there as well). Its writers are told so, and from then on nothing is
//! written; what the index has is durable, and stays readable until the process ends and starts anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::ReadTransaction;
use tokio::sync::{oneshot, watch};

use super::cache::Cache;
use super::disk::{Disk, DiskError, NEWEST};
use super::index::{Applied, Index};
use super::{Change, Expect, StoreError, Write, revision};
use crate::encryption::Rules;
use crate::object::{GroupResource, Object};

/// Most writes in one commit; bounds the memory of a transaction.
const MOST_PER_COMMIT: usize = 1024;

/// Most deletions in one commit that takes its room from the reserve.
const DELETIONS_AT_ONCE: usize = 8;

/// For how many commits it is expected that writes come several at a time, after they did.
const POLITE: u8 = 8;

/// Where the answer to a write goes.
type Reply = oneshot::Sender<Result<Arc<Object>, StoreError>>;

/// What the thread is asked to do.
#[allow(clippy::large_enum_variant)] // nearly all are writes
pub enum Job {
    /// A write.
    Write(Write, Reply),
    /// A consistent view of the file that has every write answered so far.
    View(oneshot::Sender<Result<ReadTransaction, StoreError>>),
}

/// An answer that waits for the commit.
struct Waiting {
    reply: Reply,
    answer: Result<Arc<Object>, StoreError>,
    /// The write, if it is a deletion: a full disk may have room for that alone.
    deletion: Option<Write>,
}

/// Tells the Unix time in seconds.
pub type Clock = fn() -> u64;

/// The system's [`Clock`].
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The writer's state.
pub struct Writer {
    /// What it feeds.
    pub cache: Cache,
    /// The file.
    pub disk: Disk,
    /// Gets the reason when the store has failed for good.
    pub failed: watch::Sender<Option<String>>,
    /// What time it is.
    pub clock: Clock,
    /// Nothing is expired before this time.
    pub expire_from: u64,
}

impl Writer {
    /// Works until all senders are gone; queued writes are committed first.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        // Commits before which the others get the processor.
        let mut polite = 0_u8;
        loop {
            let now = (self.clock)();
            let deadline = self
                .cache
                .read()
                .next_deadline()
                .filter(|_| !self.has_failed())
                .map(|at| at.max(self.expire_from));
            if deadline.is_some_and(|at| at <= now) {
                // Before the next writes, which under load would never leave a pause for it.
                self.expire(now);
            }
            let first = match deadline {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // Waits for the next object to expire or the next event to fall out of the history.
                Some(at) => jobs.recv_timeout(Duration::from_secs(at.saturating_sub(now))),
            };
            match first {
                Ok(job) => {
                    if polite > 0 {
                        std::thread::yield_now();
                    }
                    let mut batch = vec![job];
                    batch.extend(jobs.try_iter().take(MOST_PER_COMMIT - 1));
                    polite = if batch.len() > 1 {
                        POLITE
                    } else {
                        polite.saturating_sub(1)
                    };
                    self.work(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.borrow().is_some()
    }

    fn work(&mut self, batch: Vec<Job>) {
        let mut writes = Vec::with_capacity(batch.len());
        let mut views = Vec::new();
        for job in batch {
            match job {
                Job::Write(write, reply) => writes.push((write, reply)),
                Job::View(reply) => views.push(reply),
            }
        }
        self.commit(writes);
        for reply in views {
            let view = self
                .disk
                .view()
                .map_err(|error| StoreError::Failed(error.to_string()));
            drop(reply.send(view));
        }
    }

    fn expire(&mut self, now: u64) {
        let expired = self.cache.read().expired(now, MOST_PER_COMMIT);
        let batch: Vec<_> = expired
            .into_iter()
            .map(|(resource, key, revision)| {
                let write = Write {
                    resource,
                    key,
                    expect: Expect::Revision(revision),
                    change: Change::Delete,
                };
                (write, oneshot::channel().0)
            })
            .collect();
        if !self.commit(batch) {
            // The disk is full, and would refuse again at once: a second's pause keeps the thread from spinning.
            self.expire_from = now + 1;
        }
        self.cache.write().compact(now);
    }

    /// Commits a batch; false if the disk refused.
    fn commit(&mut self, mut batch: Vec<(Write, Reply)>) -> bool {
        if batch.is_empty() {
            return true;
        }
        let failed = self.failed.borrow().clone();
        if let Some(why) = failed {
            for (_, reply) in batch {
                drop(reply.send(Err(StoreError::Failed(why.clone()))));
            }
            return false;
        }
        // A file with a higher revision would be refused at the next start.
        let left = (NEWEST - 1).saturating_sub(self.cache.read().revision());
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        for (_, reply) in batch.split_off(left.min(batch.len())) {
            let why = "its last revision has been given out".to_owned();
            drop(reply.send(Err(StoreError::Failed(why))));
        }
        if batch.is_empty() {
            return false;
        }
        let is_deletion = |(write, _): &(Write, Reply)| matches!(write.change, Change::Delete);
        let (batch, refused) = if batch.iter().all(is_deletion) || !self.disk.is_short() {
            (batch, Vec::new())
        } else {
            batch.into_iter().partition(is_deletion)
        };
        for (_, reply) in refused {
            let why = "the disk is full, and what room is left is kept for deletions".to_owned();
            drop(reply.send(Err(StoreError::Full(why))));
        }
        match self.carry_out(batch) {
            Ok(()) => true,
            Err((error, waiting)) => {
                let is_full = matches!(error, StoreError::Full(_));
                let (deletions, others): (Vec<_>, Vec<_>) = waiting
                    .into_iter()
                    .partition(|waiting| is_full && waiting.deletion.is_some());
                let alone = others.is_empty();
                fail(others, &error);
                match deletions {
                    none if none.is_empty() => false,
                    deletions if alone => self.delete_from_reserve(deletions, &error),
                    // What needed the room may have been the others.
                    deletions => match self.carry_out(again(deletions)) {
                        Ok(()) => true,
                        Err((error @ StoreError::Full(_), deletions)) => {
                            self.delete_from_reserve(deletions, &error)
                        }
                        Err((error, deletions)) => {
                            fail(deletions, &error);
                            false
                        }
                    },
                }
            }
        }
    }

    /// Deletions that the disk has refused, with the room that is kept for them. False if it refuses again.
    fn delete_from_reserve(&mut self, deletions: Vec<Waiting>, error: &StoreError) -> bool {
        if !self.disk.release_reserve() {
            fail(deletions, error);
            return false;
        }
        tracing::warn!("the disk is full: deletions are stored in the room that is kept for them");
        let mut done = true;
        let mut deletions = deletions.into_iter().peekable();
        // A few at once, so that they need little room.
        while deletions.peek().is_some() {
            let few = deletions.by_ref().take(DELETIONS_AT_ONCE);
            if let Err((error, waiting)) = self.carry_out(again(few)) {
                fail(waiting, &error);
                done = false;
                if self.has_failed() {
                    fail(deletions, &error);
                    return false;
                }
            }
        }
        self.disk.fill_reserve();
        done
    }

    /// Checks writes, makes them durable and answers them. If that fails, who is to be told.
    fn carry_out(&mut self, batch: Vec<(Write, Reply)>) -> Result<(), (StoreError, Vec<Waiting>)> {
        let (changes, waiting) = plan(&self.cache.read(), batch);
        if changes.is_empty() {
            return Ok(());
        }
        let rules = self.cache.sealed().encryption().rules();
        if let Err(error) = self.store(&changes, &rules) {
            return Err((error, waiting));
        }
        let mut index = self.cache.write();
        let sealed = self.cache.sealed().touched(&changes, &rules);
        index.apply(changes, (self.clock)());
        drop(index);
        self.cache.sealed().stored(sealed, &rules);
        for Waiting { reply, answer, .. } in waiting {
            drop(reply.send(answer));
        }
        Ok(())
    }

    /// Makes changes durable. An error means that they are not, or that the store has failed.
    fn store(&mut self, changes: &[Applied], rules: &Rules) -> Result<(), StoreError> {
        let known = self.cache.read().revision();
        match self.disk.resume(known) {
            Ok(()) => {}
            Err(error) if error.is_full() => return Err(StoreError::Full(error.to_string())),
            Err(error) => return Err(self.fail(&error)),
        }
        let Err(error) = self.disk.commit(changes, rules) else {
            return Ok(());
        };
        if !error.is_full() {
            return Err(self.fail(&error));
        }
        tracing::error!(%error, "commit failed");
        match self.disk.recover() {
            // The transaction reached the disk although an error was reported.
            Ok(revision) if revision > self.cache.read().revision() => Ok(()),
            Ok(_) => Err(StoreError::Full(error.to_string())),
            Err(again) if again.is_full() => Err(StoreError::Full(error.to_string())),
            Err(again) => Err(self.fail(&again)),
        }
    }

    fn fail(&mut self, error: &DiskError) -> StoreError {
        self.disk.give_up();
        let why = format!("{error}; what was being written may be lost, and nothing more is written");
        super::fail(&self.failed, &why);
        StoreError::Failed(why)
    }
}

/// Refused deletions, to be tried again.
fn again(waiting: impl IntoIterator<Item = Waiting>) -> Vec<(Write, Reply)> {
    let deletions = waiting.into_iter();
    deletions
        .filter_map(|waiting| Some((waiting.deletion?, waiting.reply)))
        .collect()
}

fn fail(waiting: impl IntoIterator<Item = Waiting>, error: &StoreError) {
    for Waiting { reply, .. } in waiting {
        drop(reply.send(Err(error.clone())));
    }
}

/// Checks each write against the index and the writes before it in the batch, and gives out revisions. Writes that
/// are refused because of what is in the index are answered here; a refusal because of a write of the same batch tells
/// of that one, so it waits until that one is durable.
fn plan(index: &Index, batch: Vec<(Write, Reply)>) -> (Vec<Applied>, Vec<Waiting>) {
    let mut next = index.revision();
    let mut changes: Vec<Applied> = Vec::with_capacity(batch.len());
    let mut waiting = Vec::with_capacity(batch.len());
    let mut pending: HashMap<(Arc<GroupResource>, String), Option<Arc<Object>>> = HashMap::new();
    for (write, reply) in batch {
        let place = (Arc::clone(&write.resource), write.key.clone());
        let (current, is_durable) = match pending.get(&place) {
            Some(object) => (object.clone(), false),
            None => (index.get(&write.resource, &write.key).cloned(), true),
        };
        let deletion = matches!(write.change, Change::Delete).then(|| write.clone());
        let answer = match check(write, current.as_ref(), next + 1) {
            Ok(change) => {
                next += 1;
                let object = Arc::clone(&change.object);
                pending.insert(place, (!change.deleted).then(|| Arc::clone(&object)));
                changes.push(change);
                Ok(object)
            }
            Err(error) if is_durable => {
                drop(reply.send(Err(error)));
                continue;
            }
            Err(error) => Err(error),
        };
        waiting.push(Waiting {
            reply,
            answer,
            deletion,
        });
    }
    (changes, waiting)
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
