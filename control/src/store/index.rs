//! The multi-version index in memory: current objects and a bounded history of changes per resource.
//!
//! Plain data without locks or I/O. A state of the past is the current one with the younger changes undone.

mod range;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Changes, Event, StoreError, key_of};
use crate::object::{GroupResource, Object};

/// How much history a resource keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most events per resource.
    pub events: usize,
    /// Most bytes of serialized objects that a resource's events hold.
    pub bytes: usize,
    /// Age in seconds after which an event is dropped.
    pub age: u64,
}

/// All resources at the current revision.
#[derive(Debug)]
pub struct Index {
    limits: Limits,
    revision: u64,
    /// Nothing is known of what happened up to this revision, to whatever resource.
    compacted: u64,
    tables: HashMap<Arc<GroupResource>, Table>,
    expiries: BTreeSet<(u64, Arc<GroupResource>, String)>,
}

/// One resource.
#[derive(Debug)]
struct Table {
    objects: BTreeMap<String, Entry>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// Revision of the youngest change that is not in the history any more.
    floor: u64,
    changed: watch::Sender<u64>,
}

/// A current object and when it expires.
#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    expires: Option<u64>,
}

/// A change that has been made durable.
#[derive(Debug)]
pub struct Applied {
    /// Resource.
    pub resource: Arc<GroupResource>,
    /// Key.
    pub key: String,
    /// The object after the change, or the last state of a deleted one.
    pub object: Arc<Object>,
    /// It was deleted.
    pub deleted: bool,
    /// Expiry, in Unix seconds.
    pub expires: Option<u64>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            floor,
            changed: watch::Sender::new(floor),
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(event) = self.history.pop_front() {
            self.floor = event.revision;
            self.history_bytes -= weight(&event.object);
        }
    }

    /// Index in the history of the first event after a revision.
    fn first_after(&self, revision: u64) -> usize {
        self.history.partition_point(|event| event.revision <= revision)
    }
}

impl Index {
    /// An empty index.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            revision: 1,
            compacted: 0,
            tables: HashMap::new(),
            expiries: BTreeSet::new(),
        }
    }

    /// Sets the revisions found on disk.
    pub fn set_revision(&mut self, revision: u64, compacted: u64) {
        self.revision = revision.max(1);
        self.compacted = compacted;
    }

    /// Fails if what happened after a revision is not known. Also of resources that have no objects: a restore may have
    /// taken them away.
    fn check_compacted(&self, after: u64) -> Result<(), StoreError> {
        if after < self.compacted {
            return Err(StoreError::Compacted(self.compacted));
        }
        Ok(())
    }

    /// Notes that a resource was last changed at that revision, as found on disk.
    pub fn set_changed(&mut self, resource: Arc<GroupResource>, revision: u64) {
        let table = self
            .tables
            .entry(resource)
            .or_insert_with(|| Table::new(revision));
        table.floor = revision;
        table.changed.send_replace(revision);
    }

    /// Adds an object found on disk.
    pub fn load(&mut self, resource: &Arc<GroupResource>, key: String, object: Object, expires: Option<u64>) {
        if let Some(at) = expires {
            self.expiries.insert((at, Arc::clone(resource), key.clone()));
        }
        let floor = self.revision;
        let table = self
            .tables
            .entry(Arc::clone(resource))
            .or_insert_with(|| Table::new(floor));
        table.objects.insert(
            key,
            Entry {
                object: Arc::new(object),
                expires,
            },
        );
    }

    /// The current revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The current object of a key.
    pub fn get(&self, resource: &GroupResource, key: &str) -> Option<&Arc<Object>> {
        Some(&self.tables.get(resource)?.objects.get(key)?.object)
    }

    /// Number of objects.
    pub fn count(&self, resource: &GroupResource) -> usize {
        self.tables.get(resource).map_or(0, |table| table.objects.len())
    }

    /// Number of objects in a namespace.
    pub fn count_in(&self, resource: &GroupResource, namespace: &str) -> usize {
        let prefix = key_of(namespace, "");
        let Some(table) = self.tables.get(resource) else {
            return 0;
        };
        let from = table
            .objects
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(&prefix)).count()
    }

    /// The keys of some resources.
    pub fn keys(&self, of: impl Fn(&GroupResource) -> bool) -> Vec<(Arc<GroupResource>, String)> {
        self.tables
            .iter()
            .filter(|(resource, _)| of(resource))
            .flat_map(|(resource, table)| {
                table
                    .objects
                    .keys()
                    .map(|key| (Arc::clone(resource), key.clone()))
            })
            .collect()
    }

    /// Revision of the last change.
    pub fn changed(&self, resource: &GroupResource) -> u64 {
        self.tables
            .get(resource)
            .map_or(0, |table| *table.changed.borrow())
    }

    /// Wakes when the resource changes.
    pub fn subscribe(&mut self, resource: &Arc<GroupResource>) -> watch::Receiver<u64> {
        self.tables
            .entry(Arc::clone(resource))
            .or_insert_with(|| Table::new(0))
            .changed
            .subscribe()
    }

    /// The next moment (Unix seconds) at which something expires or falls out of the history.
    pub fn next_deadline(&self) -> Option<u64> {
        let expiry = self.expiries.first().map(|(at, ..)| *at);
        let oldest = self
            .tables
            .values()
            .filter_map(|table| table.history.front())
            .map(|event| event.at + self.limits.age + 1)
            .min();
        expiry.into_iter().chain(oldest).min()
    }

    /// Keys that have expired.
    pub fn expired(&self, now: u64, max: usize) -> Vec<(Arc<GroupResource>, String, u64)> {
        self.expiries
            .iter()
            .take_while(|(at, ..)| *at <= now)
            .take(max)
            .filter_map(|(_, resource, key)| {
                let object = self.get(resource, key)?;
                Some((Arc::clone(resource), key.clone(), object.resource_version))
            })
            .collect()
    }

    /// Notes that everything up to a revision has been applied, although the last of it changed no object.
    pub fn advance(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// Takes the place of another index, whose history is gone: its watchers are woken to begin anew.
    pub fn succeed(&mut self, old: &mut Self) {
        for (resource, table) in old.tables.drain() {
            let new = self.tables.entry(resource).or_insert_with(|| Table::new(0));
            new.changed = table.changed;
            new.changed.send_replace(self.revision);
        }
    }

    /// Drops events that are too old.
    pub fn compact(&mut self, now: u64) {
        for table in self.tables.values_mut() {
            while table
                .history
                .front()
                .is_some_and(|event| event.at + self.limits.age < now)
            {
                table.forget_oldest();
            }
        }
    }

    /// Applies durable changes, oldest first, and wakes the watchers.
    pub fn apply(&mut self, changes: Vec<Applied>, now: u64) {
        let mut touched: BTreeMap<Arc<GroupResource>, u64> = BTreeMap::new();
        for change in changes {
            let revision = change.object.resource_version;
            self.revision = revision;
            touched.insert(Arc::clone(&change.resource), revision);
            let table = self
                .tables
                .entry(Arc::clone(&change.resource))
                .or_insert_with(|| Table::new(0));
            let previous = if change.deleted {
                table.objects.remove(&change.key)
            } else {
                let entry = Entry {
                    object: Arc::clone(&change.object),
                    expires: change.expires,
                };
                table.objects.insert(change.key.clone(), entry)
            };
            if let Some(at) = previous.as_ref().and_then(|entry| entry.expires) {
                self.expiries
                    .remove(&(at, Arc::clone(&change.resource), change.key.clone()));
            }
            if let (Some(at), false) = (change.expires, change.deleted) {
                self.expiries.insert((at, change.resource, change.key));
            }
            table.history_bytes += weight(&change.object);
            table.history.push_back(Arc::new(Event {
                revision,
                object: change.object,
                previous: previous.map(|entry| entry.object),
                deleted: change.deleted,
                at: now,
            }));
            while table.history.len() > self.limits.events
                || (table.history_bytes > self.limits.bytes && table.history.len() > 1)
            {
                table.forget_oldest();
            }
        }
        for (resource, revision) in touched {
            if let Some(table) = self.tables.get(&resource) {
                table.changed.send_replace(revision);
            }
        }
    }

    /// Changes after a revision: at most `max`, and the others of the last one's revision, which belong together.
    pub fn changes(&self, resource: &GroupResource, after: u64, max: usize) -> Result<Changes, StoreError> {
        self.check_compacted(after)?;
        let Some(table) = self.tables.get(resource) else {
            return Ok(Changes {
                events: Vec::new(),
                upto: self.revision.max(after),
            });
        };
        if after < table.floor {
            return Err(StoreError::Compacted(table.floor));
        }
        let first = table.first_after(after);
        let mut events: Vec<_> = table.history.range(first..).take(max).cloned().collect();
        if let Some(last) = events.last().map(|last| last.revision) {
            let rest = table.history.range(first + events.len()..);
            events.extend(rest.take_while(|event| event.revision == last).cloned());
        }
        let upto = match events.last() {
            Some(last) if first + events.len() < table.history.len() => last.revision,
            _ => self.revision.max(after),
        };
        Ok(Changes { events, upto })
    }
}

/// About the memory that a past state of an object takes.
fn weight(object: &Object) -> usize {
    object.bytes.len() + object.labels.size() + object.fields.size() + 400
}
