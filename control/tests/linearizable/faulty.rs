//! Stores that break their promises now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{
    Cache, Change, Changes, Event, Expect, Page, Range, Store, StoreError, Write, key_of, splice,
};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A write whose expectation has been overtaken is done all the same.
    LosesUpdates,
    /// Acknowledges a write that it does not do.
    ForgetsWrites,
    /// Reads an object as it was before.
    ReadsStale,
    /// Lists a state that is not the current one any more.
    ListsStale,
    /// Lists the newest objects under an older revision.
    ListsTorn,
    /// Leaves out an event.
    MissesEvents,
    /// Tells an event again.
    RepeatsEvents,
    /// Tells two events in the wrong order.
    ReordersEvents,
    /// Says that nothing has happened, for ever.
    FallsAsleep,
    /// Does not wait until it has seen what other servers have acknowledged.
    SkipsBarriers,
}

/// A store that is wrong once in `every` chances.
#[derive(Debug)]
pub struct Faulty {
    pub inner: Arc<dyn Store>,
    pub wrong: Wrong,
    pub every: u64,
    chances: AtomicU64,
    /// Earlier objects.
    earlier: Mutex<Vec<Arc<Object>>>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Store>, wrong: Wrong) -> Self {
        Self {
            inner,
            wrong,
            every: 10,
            chances: AtomicU64::new(0),
            earlier: Mutex::default(),
        }
    }

    fn now(&self, wrong: Wrong) -> bool {
        self.wrong == wrong && self.chances.fetch_add(1, Ordering::SeqCst) % self.every == self.every - 1
    }
}

impl Store for Faulty {
    fn cache(&self) -> &Cache {
        self.inner.cache()
    }

    fn barrier(&self) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        self.inner
            .barrier()
            .filter(|_| self.wrong != Wrong::SkipsBarriers)
    }

    fn get(&self, resource: &GroupResource, key: &str) -> Option<Arc<Object>> {
        let now = self.inner.get(resource, key);
        let of = |object: &&Arc<Object>| key_of(&object.namespace, &object.name) == key;
        let mut earlier = self.earlier.lock().unwrap();
        let stale = earlier.iter().rev().find(of).cloned();
        if let Some(object) = &now
            && stale
                .as_ref()
                .is_none_or(|stale| stale.resource_version != object.resource_version)
        {
            earlier.push(Arc::clone(object));
            if let Some(stale) = stale.filter(|_| self.now(Wrong::ReadsStale)) {
                return Some(stale);
            }
        }
        now
    }

    fn range(&self, resource: &GroupResource, range: &Range<'_>) -> Result<Page, StoreError> {
        let page = self.inner.range(resource, range)?;
        if range.at.is_none() && self.now(Wrong::ListsStale) {
            let at = Some(page.revision.saturating_sub(10).max(1));
            return self.inner.range(resource, &Range { at, ..*range }).or(Ok(page));
        }
        if range.at.is_none() && self.now(Wrong::ListsTorn) {
            let revision = page.revision - 1;
            return Ok(Page { revision, ..page });
        }
        Ok(page)
    }

    fn changes(&self, resource: &GroupResource, after: u64, max: usize) -> Result<Changes, StoreError> {
        let mut changes = self.inner.changes(resource, after, max)?;
        let events: &mut Vec<Arc<Event>> = &mut changes.events;
        if events.len() >= 2 && self.now(Wrong::MissesEvents) {
            events.remove(0);
        }
        if !events.is_empty() && self.now(Wrong::RepeatsEvents) {
            events.insert(0, Arc::clone(&events[0]));
        }
        if events.len() >= 2 && self.now(Wrong::ReordersEvents) {
            events.swap(0, 1);
        }
        if self.wrong == Wrong::FallsAsleep && after > 60 {
            return Ok(Changes {
                events: Vec::new(),
                upto: after,
            });
        }
        Ok(changes)
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        if let Expect::Revision(_) = write.expect
            && self.now(Wrong::ForgetsWrites)
            && let Change::Put { object, .. } = &write.change
            && let Some(current) = self.inner.get(&write.resource, &write.key)
            && write.expect == Expect::Revision(current.resource_version)
        {
            // As if it had been stored at a revision of its own.
            let mut lie = object.clone();
            lie.resource_version = self.inner.revision() + 1;
            lie.bytes = splice(&lie.bytes, lie.resource_version).unwrap();
            return std::future::ready(Ok(Arc::new(lie))).boxed();
        }
        let put = matches!(write.change, Change::Put { .. });
        let again =
            (self.wrong == Wrong::LosesUpdates && put).then(|| (Arc::clone(&self.inner), write.clone()));
        let done = self.inner.write(write);
        async move {
            match (done.await, again) {
                (Err(StoreError::Conflict(current)), Some((inner, mut write))) => {
                    write.expect = Expect::Revision(current.resource_version);
                    inner.write(write).await
                }
                (done, _) => done,
            }
        }
        .boxed()
    }
}
