//! Which quotas a change concerns.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::admission::resource_quota::Kinds;
use crate::controllers::api::Resource;
use crate::controllers::informer::{Informer, Key, Queue};
use crate::controllers::model::Quota;

/// Changes come in groups (a Deployment's pods), and each calculation looks at everything that a quota counts: what
/// changes within this time after the first change is calculated together.
pub(super) const GATHER: Duration = Duration::from_millis(250);

/// The quotas that wait to be calculated.
#[derive(Debug)]
pub struct Interest {
    quotas: Arc<Informer<Quota>>,
    queue: Arc<Queue<Key>>,
    /// Quotas that are queued with a delay already.
    gathering: Mutex<HashSet<Key>>,
}

impl Interest {
    /// Over the known quotas.
    pub fn new(quotas: Arc<Informer<Quota>>) -> Self {
        Self {
            quotas,
            queue: Queue::new(),
            gathering: Mutex::default(),
        }
    }

    /// The quotas to calculate.
    pub(super) fn queue(&self) -> &Arc<Queue<Key>> {
        &self.queue
    }

    /// The known quotas.
    pub(super) fn quotas(&self) -> &Informer<Quota> {
        &self.quotas
    }

    /// An object of this resource has been made, changed or deleted.
    pub fn changed(&self, resource: &Resource, namespace: &str) {
        if namespace.is_empty() || self.quotas.store().is_empty() {
            return;
        }
        for quota in self.quotas.store().in_namespace(namespace) {
            let kinds = Kinds::of(quota.hard().keys());
            let key = quota.metadata.key();
            if kinds.has(&resource.group, &resource.plural) && self.gathering().insert(key.clone()) {
                self.queue.add_after(key, GATHER);
            }
        }
    }

    /// A calculation begins: what changes from now on needs another one.
    pub(super) fn begins(&self, key: &Key) {
        self.gathering().remove(key);
    }

    fn gathering(&self) -> MutexGuard<'_, HashSet<Key>> {
        // Each use is one step.
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
