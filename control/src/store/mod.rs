//! The `Store` trait with etcd semantics, and its implementations: embedded, and on a real etcd.
//!
//! One global revision counts all changes. A write names the revision that it expects (compare-and-swap), is durable
//! before it is acknowledged, and becomes visible to readers and watchers at that moment, never before. Reads are
//! served from memory; they share the stored bytes. History is bounded: who asks for a revision that is gone gets
//! [`StoreError::Compacted`] and lists again.
//!
//! - [`index`]: the multi-version index in memory, plain data. [`cache`]: how it is shared; [`Store`] reads from there.
//! - [`sieve`]: ranges of which only some objects are wanted.
//! - [`disk`]: the redb file.
//! - [`writer`]: the thread that commits whatever has queued up, one commit at a time.
//! - [`sealed`]: which objects are stored in another encryption than they would be now, or cannot be decrypted.
//! - [`embedded`]: those three together, behind the trait.
//! - [`etcd`]: the same index fed by a watch of etcd; writes are etcd's transactions.

mod cache;
mod disk;
mod embedded;
mod etcd;
mod index;
mod revision;
mod sealed;
mod sieve;
pub mod snapshot;
mod witness;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

pub use cache::Cache;
pub use embedded::{Embedded, Options};
pub use etcd::{Etcd, EtcdOptions, Servers, Turn};
pub use revision::{same, splice};

use crate::encryption::Rules;
use crate::object::{GroupResource, Object};

/// Key of an object inside its resource: `namespace/name`, or `name` where there are no namespaces.
pub fn key_of(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: create.
    Absent,
    /// The object as last changed at this revision.
    Revision(u64),
}

/// What a write does.
#[derive(Debug, Clone)]
pub enum Change {
    /// Stores this object. Its `resource_version` is ignored, and its bytes carry an empty
    /// `metadata.resourceVersion` at the place where [`crate::server`]'s encoder puts it; the store fills in both.
    Put {
        /// The object.
        object: Object,
        /// Unix time in seconds at which the store deletes it, for Events.
        expires: Option<u64>,
    },
    /// Removes the object.
    Delete,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Write {
    /// Resource.
    pub resource: Arc<GroupResource>,
    /// Key, see [`key_of`].
    pub key: String,
    /// Precondition.
    pub expect: Expect,
    /// Change.
    pub change: Change,
}

/// A change as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// Revision of the change.
    pub revision: u64,
    /// The object after the change; of a deletion, its last state with the deletion's resourceVersion.
    pub object: Arc<Object>,
    /// The object before the change.
    pub previous: Option<Arc<Object>>,
    /// The object was deleted.
    pub deleted: bool,
    /// When, in Unix seconds.
    at: u64,
}

/// What to read.
#[derive(Clone, Copy)]
pub struct Range<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// Only keys greater than this one.
    pub after: Option<&'a str>,
    /// At most this many objects; 0 for all.
    pub limit: usize,
    /// The state as of this revision instead of the current one.
    pub at: Option<u64>,
    /// Only objects for which this holds.
    pub filter: Option<&'a (dyn Fn(&Object) -> bool + Sync)>,
}

impl std::fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Range")
            .field("namespace", &self.namespace)
            .field("after", &self.after)
            .field("limit", &self.limit)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<'a> Range<'a> {
    /// Everything in a namespace, or everywhere.
    pub fn all(namespace: Option<&'a str>) -> Self {
        Self {
            namespace,
            after: None,
            limit: 0,
            at: None,
            filter: None,
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Page {
    /// Objects in key order.
    pub objects: Vec<Arc<Object>>,
    /// Revision of the state that was read.
    pub revision: u64,
    /// Number of objects that the limit cut off, 0 at the end. With a filter, only whether there are such is told: they are
    /// not looked at.
    pub remaining: usize,
}

/// Events after a revision.
#[derive(Debug)]
pub struct Changes {
    /// The events, oldest first.
    pub events: Vec<Arc<Event>>,
    /// Everything up to this revision has been seen by who has seen these events.
    pub upto: u64,
}

/// Why the store refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A create found an object.
    #[error("already exists")]
    Exists,
    /// An update or delete found nothing.
    #[error("not found")]
    NotFound,
    /// An update or delete found a newer object, which is here.
    #[error("changed at revision {}", .0.resource_version)]
    Conflict(Arc<Object>),
    /// The revision's history is gone; the oldest one known is named.
    #[error("history starts at revision {0}")]
    Compacted(u64),
    /// The revision has not happened yet; the current one is named.
    #[error("the current revision is {0}")]
    Future(u64),
    /// The object is larger than the store takes. Nothing was stored.
    #[error("the object is too large for the store: {0}")]
    TooLarge(String),
    /// The disk is full. Nothing was stored; reads go on.
    #[error("no space left for the store: {0}")]
    Full(String),
    /// The write failed; whether it was stored is unknown.
    #[error("the store could not be written: {0}")]
    Failed(String),
    /// Something that only one object can have is taken by another one. Nothing was stored.
    #[error("{0} is taken")]
    Taken(String),
    /// Another server has decided in the same matter since the turn was taken. Nothing was stored.
    #[error("another server was faster")]
    Overtaken,
    /// No server of the store could be reached in time. Nothing was stored.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// There is an object, but it cannot be decrypted. It stays as it is.
    #[error("{0}")]
    Unreadable(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// This kind of store cannot do that.
    #[error("{0}")]
    Unsupported(String),
}

/// Gives up for good.
fn fail(failed: &watch::Sender<Option<String>>, why: &str) {
    tracing::error!("{why}");
    failed.send_replace(Some(why.to_owned()));
}

/// Runs what a store's thread does: if that panics, nobody would write or follow any more.
fn guarded(failed: &watch::Sender<Option<String>>, work: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        fail(failed, "the store's thread has panicked");
    }
}

/// Resolves with the reason once there is one.
fn reason(mut failed: watch::Receiver<Option<String>>) -> BoxFuture<'static, String> {
    async move {
        let why = {
            let found = failed.wait_for(Option::is_some).await;
            found.ok().and_then(|why| why.clone())
        };
        match why {
            Some(why) => why,
            // Closed in an orderly way: it will not fail any more.
            None => std::future::pending().await,
        }
    }
    .boxed()
}

/// A versioned store of objects: a cache that serves the reads, and a way to write. Who implements it says how to write, and
/// feeds the cache; the reads are the same for all.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// What reads are served from.
    fn cache(&self) -> &Cache;
    /// Applies a write; returns the stored object, or of a deletion its last state with the deletion's revision.
    fn write(&self, write: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>>;
    /// Whether other servers write to it as well.
    fn is_shared(&self) -> bool {
        false
    }
    /// Waits for a turn in a matter: a decision that looks at many objects, and is to hold when one more is written by
    /// [`Self::write_in_turn`]. Reads then see everything that was written before, in turns or without. `None` where there
    /// is no other server, so that the caller can keep its decisions apart alone.
    fn turn(&self, _matter: &str) -> Option<BoxFuture<'static, Result<Turn, StoreError>>> {
        None
    }
    /// As [`Self::write`], if nobody has written in a turn of the same matter since this one was taken; otherwise
    /// [`StoreError::Overtaken`], and the decision has to be made again.
    fn write_in_turn(&self, write: Write, turn: Turn) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        drop(turn);
        self.write(write)
    }
    /// Resolves once reads see every write that was acknowledged before this call, whoever made it. `None` where they
    /// always do.
    fn barrier(&self) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        None
    }
    /// Resolves once reads see this revision, or with [`StoreError::Future`] if that takes too long. `None` where waiting
    /// is of no use.
    fn reach(&self, _revision: u64) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        None
    }
    /// Whether the store works, as far as is known.
    fn is_healthy(&self) -> bool {
        true
    }
    /// A consistent copy of everything that has been acknowledged, to be written to a file.
    fn snapshot(&self) -> BoxFuture<'static, Result<snapshot::Snapshot, StoreError>> {
        let why = "this store makes no snapshots".to_owned();
        std::future::ready(Err(StoreError::Unsupported(why))).boxed()
    }
    /// Resolves with the reason when the store has failed for good: whoever runs it must end and start anew.
    fn failed(&self) -> BoxFuture<'static, String> {
        std::future::pending().boxed()
    }

    /// The revision of the newest durable change.
    fn revision(&self) -> u64 {
        self.cache().read().revision()
    }
    /// The current object of that key.
    fn get(&self, resource: &GroupResource, key: &str) -> Option<Arc<Object>> {
        self.cache().read().get(resource, key).cloned()
    }
    /// Objects of a resource, as one consistent snapshot.
    fn range(&self, resource: &GroupResource, range: &Range<'_>) -> Result<Page, StoreError> {
        let Some(keep) = range.filter else {
            // Whoever feeds the index says what cannot be read before it lets go of the lock: so the two belong together.
            let index = self.cache().read();
            self.cache().sealed().check(resource, range.namespace)?;
            return index.range(resource, range);
        };
        match sieve::range(self.cache(), resource, range, keep, sieve::PIECE) {
            // The history may have moved on between two pieces.
            Err(StoreError::Compacted(_)) => sieve::range(self.cache(), resource, range, keep, usize::MAX),
            page => page,
        }
    }
    /// Why there is an object of that key that cannot be read.
    fn unreadable(&self, resource: &GroupResource, key: &str) -> Option<StoreError> {
        self.cache().sealed().fault(resource, key)
    }
    /// Whether the object is stored in another encryption than it would be now: an update that changes nothing has to
    /// be written all the same.
    fn is_stale(&self, resource: &GroupResource, key: &str) -> bool {
        self.cache().sealed().is_stale(resource, key)
    }
    /// Follows a change of the encryption's rules.
    fn rules_changed(&self, before: &Rules) {
        self.cache().sealed().rules_changed(&self.cache().read(), before);
    }
    /// Number of objects of a resource.
    fn count(&self, resource: &GroupResource) -> usize {
        self.cache().read().count(resource)
    }
    /// Changes of a resource after a revision: at most `max`, and the others of the last one's revision.
    fn changes(&self, resource: &GroupResource, after: u64, max: usize) -> Result<Changes, StoreError> {
        self.cache().read().changes(resource, after, max)
    }
    /// Wakes when the resource changes; the value is the revision of its last change.
    fn subscribe(&self, resource: &Arc<GroupResource>) -> watch::Receiver<u64> {
        self.cache().write().subscribe(resource)
    }
    /// Revision of the last change of a resource, 0 if there was none.
    fn changed(&self, resource: &GroupResource) -> u64 {
        self.cache().read().changed(resource)
    }
}
