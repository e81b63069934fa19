//! What all reads and watches are served from, whatever the store is: the index, shared by who feeds it and who reads.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::index::Index;
use super::sealed::Sealed;
use super::{Range, key_of};
use crate::object::{Changed, GroupResource, Object, Reader};

/// Most changes that are handed out together; who is further behind looks at everything.
const MOST_CHANGES: usize = 1024;

/// The index of a store, and what it knows of the encryption of what is in there. Clones share both.
#[derive(Debug, Clone)]
pub struct Cache {
    index: Arc<RwLock<Index>>,
    sealed: Arc<Sealed>,
}

impl Cache {
    /// One that is fed from now on.
    pub(super) fn new(index: Index, sealed: Sealed) -> Self {
        Self {
            index: Arc::new(RwLock::new(index)),
            sealed: Arc::new(sealed),
        }
    }

    // A panic while the lock is held cannot leave the index half-changed in a way that matters more than stopping.

    /// The index, for reading.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, to change it: only for the one who feeds it, and for a moment.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How objects are stored.
    pub(super) fn sealed(&self) -> &Sealed {
        &self.sealed
    }
}

impl Reader for Cache {
    fn get(&self, resource: &GroupResource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.read().get(resource, &key_of(namespace, name)).cloned()
    }

    fn list(&self, resource: &GroupResource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        // What can be read: an object that cannot be decrypted must not hide all others from authorization.
        self.read()
            .range(resource, &Range::all(namespace))
            .map_or_else(|_| Vec::new(), |page| page.objects)
    }

    fn snapshot(&self, resource: &GroupResource, namespace: &str) -> (Vec<Arc<Object>>, u64) {
        // A range of the present does not fail.
        self.read()
            .range(resource, &Range::all(Some(namespace)))
            .map_or_else(|_| (Vec::new(), 0), |page| (page.objects, page.revision))
    }

    fn since(&self, resource: &GroupResource, revision: u64) -> Option<(Vec<Changed>, u64)> {
        let index = self.read();
        let changes = index.changes(resource, revision, MOST_CHANGES).ok()?;
        if changes.upto < index.revision() {
            return None;
        }
        let changed = changes.events.iter().map(|event| Changed {
            object: Arc::clone(&event.object),
            deleted: event.deleted,
        });
        Some((changed.collect(), changes.upto))
    }

    fn count(&self, resource: &GroupResource, namespace: &str) -> usize {
        self.read().count_in(resource, namespace)
    }

    fn version(&self, resource: &GroupResource) -> u64 {
        self.read().changed(resource)
    }
}
