//! Ranges of which only the objects are wanted that a filter lets through.
//!
//! A filter may have thousands of conditions, and writers wait for the index's lock: so it is asked without the lock, about
//! one piece of the range after the other, all as of one revision. Nothing is held of what it has refused, and what comes
//! after the limit is not touched at all.

use super::{Cache, Page, Range, StoreError, key_of};
use crate::object::{GroupResource, Object};

/// Objects of a piece.
pub const PIECE: usize = 1 << 10;

/// The objects of a range for which `keep` holds, read in pieces of so many.
pub fn range(
    cache: &Cache,
    resource: &GroupResource,
    range: &Range<'_>,
    keep: &(dyn Fn(&Object) -> bool + Sync),
    piece: usize,
) -> Result<Page, StoreError> {
    let (mut kept, mut at, mut after) = (Vec::new(), range.at, range.after.map(str::to_owned));
    loop {
        let part = Range {
            after: after.as_deref(),
            at,
            ..*range
        };
        let page = {
            // As for a range without a filter.
            let index = cache.read();
            cache.sealed().check(resource, range.namespace)?;
            index.piece(resource, &part, piece)?
        };
        let more = page.remaining > 0;
        let last = page.objects.last();
        after = last.map(|last| key_of(&last.namespace, &last.name));
        let mut objects = page.objects.into_iter();
        for object in objects.by_ref().filter(|object| keep(object)) {
            kept.push(object);
            if range.limit > 0 && kept.len() == range.limit {
                break;
            }
        }
        let full = range.limit > 0 && kept.len() == range.limit;
        if full || !more {
            return Ok(Page {
                objects: kept,
                revision: page.revision,
                remaining: usize::from(more || objects.len() > 0),
            });
        }
        at = Some(page.revision);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::super::index::{Applied, Index, Limits};
    use super::super::sealed::Sealed;
    use super::super::tests::{configmaps, object};
    use super::super::{Store, Write};
    use super::*;

    /// A store that nobody writes to.
    #[derive(Debug)]
    struct Kept(Cache);

    impl Store for Kept {
        fn cache(&self) -> &Cache {
            &self.0
        }
        fn write(&self, _: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
            std::future::ready(Err(StoreError::Closed)).boxed()
        }
    }

    fn name(number: usize) -> String {
        format!("o{number:05}")
    }

    /// So many objects, of one revision, and a history of so many events.
    fn store(objects: usize, events: usize) -> Kept {
        let mut index = Index::new(Limits {
            events,
            bytes: usize::MAX,
            age: u64::MAX >> 1,
        });
        index.set_revision(10, 0);
        index.set_changed(configmaps(), 10);
        for number in 0..objects {
            let name = name(number);
            index.load(&configmaps(), key_of("a", &name), object("a", &name, "old"), None);
        }
        Kept(Cache::new(index, Sealed::new(Arc::default())))
    }

    fn delete(store: &Kept, number: usize) {
        let mut index = store.0.write();
        let revision = index.revision() + 1;
        let gone = Object {
            resource_version: revision,
            ..object("a", &name(number), "old")
        };
        let change = Applied {
            resource: configmaps(),
            key: key_of("a", &name(number)),
            object: Arc::new(gone),
            deleted: true,
            expires: None,
        };
        index.apply(vec![change], 0);
    }

    fn names(page: &Page) -> Vec<&str> {
        page.objects.iter().map(|object| object.name.as_str()).collect()
    }

    #[test]
    fn what_is_behind_the_limit_is_not_touched() {
        let store = store(3 * PIECE, 10);
        let last = Store::get(&store, &configmaps(), &key_of("a", &name(3 * PIECE - 1))).unwrap();
        let asked = AtomicUsize::new(0);
        let keep = |_: &Object| {
            // The index has it, and this test.
            assert_eq!(Arc::strong_count(&last), 2);
            asked.fetch_add(1, Ordering::Relaxed);
            true
        };
        let first = Range {
            limit: 2,
            filter: Some(&keep),
            ..Range::all(Some("a"))
        };
        let page = Store::range(&store, &configmaps(), &first).unwrap();
        assert_eq!(names(&page), [name(0), name(1)]);
        assert!(page.remaining > 0);
        assert_eq!(asked.into_inner(), 2);
    }

    #[test]
    fn all_pieces_are_of_one_state() {
        // The history is long enough for what happens between two pieces, or too short.
        for events in [10, 2] {
            let objects = 2 * PIECE + 100;
            let store = store(objects, events);
            let asked = AtomicUsize::new(0);
            let keep = |object: &Object| {
                if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                    for number in [1, PIECE + 1, 2 * PIECE, objects - 1] {
                        delete(&store, number);
                    }
                }
                object.name.ends_with('1') || object.name == name(2 * PIECE)
            };
            let all = Range {
                filter: Some(&keep),
                ..Range::all(None)
            };
            let page = Store::range(&store, &configmaps(), &all).unwrap();
            let there = |number: usize| page.objects.iter().any(|object| object.name == name(number));
            let deleted = [1, 2 * PIECE].map(there);
            match page.revision {
                10 => assert_eq!((events, deleted), (10, [true, true])),
                14 => assert_eq!((events, deleted), (2, [false, false])),
                other => panic!("a state of {other}"),
            }
            assert_eq!(
                (there(11), there(12), there(2 * PIECE + 33), page.remaining),
                (true, false, true, 0)
            );
        }
    }

    #[test]
    fn pages_follow_one_another() {
        let objects = 2 * PIECE + 100;
        let store = store(objects, 10);
        let keep = |object: &Object| object.name.ends_with("07");
        let (mut after, mut found, mut pages) = (None::<String>, Vec::new(), 0);
        loop {
            let next = Range {
                after: after.as_deref(),
                limit: 7,
                filter: Some(&keep),
                ..Range::all(None)
            };
            let page = Store::range(&store, &configmaps(), &next).unwrap();
            found.extend(page.objects.iter().map(|object| object.name.clone()));
            pages += 1;
            if page.remaining == 0 {
                break;
            }
            assert_eq!(page.objects.len(), 7);
            let last = page.objects.last().unwrap();
            after = Some(key_of(&last.namespace, &last.name));
        }
        let expected: Vec<String> = (0..objects)
            .filter(|number| number % 100 == 7)
            .map(name)
            .collect();
        assert_eq!(found, expected);
        assert_eq!(pages, expected.len().div_ceil(7));
    }
}
