//! Reading the index: snapshots of a resource, now or in the past.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::{Index, Table};
use crate::object::{GroupResource, Object};
use crate::store::{Page, Range, StoreError, key_of};

impl Index {
    /// A snapshot of a resource. The filter is not for here: [`crate::store::sieve`] asks it when the lock is let go.
    pub fn range(&self, resource: &GroupResource, range: &Range<'_>) -> Result<Page, StoreError> {
        let most = if range.limit == 0 { usize::MAX } else { range.limit };
        self.read(resource, range, most, true)
    }

    /// As [`Self::range`], but at most so many objects instead of the limit, and of the others only whether there are some.
    pub fn piece(
        &self,
        resource: &GroupResource,
        range: &Range<'_>,
        most: usize,
    ) -> Result<Page, StoreError> {
        self.read(resource, range, most, false)
    }

    fn read(
        &self,
        resource: &GroupResource,
        range: &Range<'_>,
        most: usize,
        counted: bool,
    ) -> Result<Page, StoreError> {
        let revision = range.at.unwrap_or(self.revision);
        if revision > self.revision {
            return Err(StoreError::Future(self.revision));
        }
        self.check_compacted(revision)?;
        let Some(table) = self.tables.get(resource) else {
            return Ok(Page {
                objects: Vec::new(),
                revision,
                remaining: 0,
            });
        };
        let undo = table.undo(revision)?;
        let prefix = range.namespace.map(|namespace| key_of(namespace, ""));
        let inside = |key: &str| prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix));
        let start = match (range.after, prefix.as_deref()) {
            (Some(after), Some(prefix)) if after < prefix => Bound::Included(prefix),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(prefix)) => Bound::Included(prefix),
            (None, None) => Bound::Unbounded,
        };
        let current = table
            .objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| inside(key))
            .filter(|(key, _)| undo.is_empty() || !undo.contains_key(key.as_str()))
            .map(|(key, entry)| (key.as_str(), &entry.object));
        let undone = undo
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| inside(key))
            .filter_map(|(key, object)| Some((key.as_str(), object.as_ref()?)));
        let mut page = Page {
            objects: Vec::new(),
            revision,
            remaining: 0,
        };
        for (_, object) in merge(current, undone) {
            if page.objects.len() < most {
                page.objects.push(Arc::clone(object));
                continue;
            }
            page.remaining += 1;
            if !counted {
                break;
            }
        }
        Ok(page)
    }
}

impl Table {
    /// What differs between the state at a revision and the current one.
    fn undo(&self, revision: u64) -> Result<BTreeMap<String, Option<Arc<Object>>>, StoreError> {
        if revision < self.floor {
            return Err(StoreError::Compacted(self.floor));
        }
        let mut undo = BTreeMap::new();
        for event in self.history.range(self.first_after(revision)..) {
            undo.entry(key_of(&event.object.namespace, &event.object.name))
                .or_insert_with(|| event.previous.clone());
        }
        Ok(undo)
    }
}

/// Merges two sequences that are sorted by key and share no key.
fn merge<'a>(
    left: impl Iterator<Item = (&'a str, &'a Arc<Object>)>,
    right: impl Iterator<Item = (&'a str, &'a Arc<Object>)>,
) -> impl Iterator<Item = (&'a str, &'a Arc<Object>)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(one), Some(two)) if two.0 < one.0 => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}
