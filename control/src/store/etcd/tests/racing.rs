//! Lists that race with what feeds the index: they must not leave out what cannot be read.

use std::time::Duration;

use futures::future::BoxFuture;

use super::*;
use crate::store::{Range, Write};
use proto::{Event, KeyValue};

/// Time for another thread to come to a lock that is held. Too little of it hides a fault, and invents none.
const A_MOMENT: Duration = Duration::from_millis(200);

/// The reads that all stores have.
#[derive(Debug)]
struct Cached(Cache);

impl Store for Cached {
    fn cache(&self) -> &Cache {
        &self.0
    }

    fn write(&self, _: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        unreachable!("nothing is written")
    }
}

fn core() -> Core {
    // Nobody connects there.
    let servers = Servers::new(vec!["http://127.0.0.1:1".to_owned()]);
    let options = EtcdOptions {
        servers,
        store: options(),
        builtin: vec![GroupResource::new("", "configmaps")],
        claims: |_, _| std::collections::BTreeSet::new(),
        compaction: None,
    };
    Core::new(options).unwrap()
}

#[test]
fn a_list_that_waits_for_a_reload_is_told_what_that_could_not_read() {
    let core = core();
    let store = Cached(core.cache.clone());
    let listed = std::thread::scope(|scope| {
        let index = core.cache.write();
        let list = scope.spawn(|| store.range(&configmaps(), &Range::all(None)));
        std::thread::sleep(A_MOMENT);
        core.cache.sealed().unreadable(configmaps(), "a/x", "sealed");
        drop(index);
        list.join().unwrap()
    });
    assert!(matches!(listed, Err(StoreError::Unreadable(_))), "{listed:?}");
}

#[test]
fn an_object_that_can_be_read_again_is_listed_from_that_moment() {
    let core = core();
    core.cache.sealed().unreadable(configmaps(), "a/x", "sealed");
    let object = crate::store::tests::object("a", "x", "1");
    let event = Event {
        kind: 0,
        kv: Some(KeyValue {
            key: b"/registry/configmaps/a/x".to_vec(),
            mod_revision: 2,
            version: 2,
            value: object.bytes,
        }),
    };
    std::thread::scope(|scope| {
        let index = core.cache.read();
        let feed = scope.spawn(|| feed::apply(&core, vec![event]));
        std::thread::sleep(A_MOMENT);
        assert!(index.get(&configmaps(), "a/x").is_none());
        let refused = core.cache.sealed().check(&configmaps(), None);
        drop(index);
        assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{refused:?}");
        feed.join().unwrap();
    });
    let store = Cached(core.cache);
    let listed = store.range(&configmaps(), &Range::all(None)).unwrap();
    assert_eq!(listed.objects.len(), 1);
}
