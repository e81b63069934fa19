//! The embedded store against a simple model, on a failing disk, and across restarts.

mod damage;
mod failing_disk;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn options() -> Options {
    Options::new(|_, _| BTreeMap::new())
}

fn configmaps() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

fn object(namespace: &str, name: &str, data: &str) -> Object {
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"{namespace}\"}},\"data\":{{\"k\":\"{data}\"}}}}"
    );
    let value = serde_json::from_str(&text).unwrap();
    Object::describe(&value, text.into())
}

fn put(key: (&str, &str), expect: Expect, data: &str) -> Write {
    Write {
        resource: configmaps(),
        key: key_of(key.0, key.1),
        expect,
        change: Change::Put {
            object: object(key.0, key.1, data),
            expires: None,
        },
    }
}

fn delete(key: (&str, &str), expect: u64) -> Write {
    Write {
        resource: configmaps(),
        key: key_of(key.0, key.1),
        expect: Expect::Revision(expect),
        change: Change::Delete,
    }
}

/// Runs a future on a small runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// What the model does.
#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Update(usize, bool),
    Delete(usize, bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..KEYS.len()).prop_map(Step::Create),
        4 => (0..KEYS.len(), any::<bool>()).prop_map(|(key, stale)| Step::Update(key, stale)),
        2 => (0..KEYS.len(), any::<bool>()).prop_map(|(key, stale)| Step::Delete(key, stale)),
        1 => Just(Step::Restart),
    ]
}

const KEYS: [(&str, &str); 5] = [("a", "x"), ("a", "y"), ("a-b", "x"), ("b", "x"), ("b", "z")];

/// A state of the past: key to revision and data.
type Model = BTreeMap<String, (u64, String)>;

fn snapshot(store: &Embedded, range: &Range<'_>) -> Result<Model, StoreError> {
    let page = Store::range(store, &configmaps(), range)?;
    Ok(page
        .objects
        .iter()
        .map(|object| {
            let value = object.value();
            assert_eq!(
                value["metadata"]["resourceVersion"],
                object.resource_version.to_string()
            );
            let data = value["data"]["k"].as_str().unwrap().to_owned();
            (
                key_of(&object.namespace, &object.name),
                (object.resource_version, data),
            )
        })
        .collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Any sequence of writes, with stale ones and restarts between them, gives what a map would give: now, at every
    /// revision that is still in the history, and to a watcher that follows.
    #[test]
    fn behaves_like_a_map_with_history(steps in proptest::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Embedded::open(dir.path(), &options()).unwrap();
        let mut model = Model::new();
        let mut past: BTreeMap<u64, Model> = BTreeMap::new();
        let mut followed = Model::new();
        let mut cursor = store.revision();
        past.insert(cursor, model.clone());
        for (number, step) in steps.into_iter().enumerate() {
            let data = number.to_string();
            match step {
                Step::Create(key) => {
                    let done = wait(store.write(put(KEYS[key], Expect::Absent, &data)));
                    let key = key_of(KEYS[key].0, KEYS[key].1);
                    if let std::collections::btree_map::Entry::Vacant(entry) = model.entry(key) {
                        entry.insert((done.unwrap().resource_version, data));
                    } else {
                        prop_assert!(matches!(done, Err(StoreError::Exists)));
                    }
                }
                Step::Update(key, stale) => {
                    let name = key_of(KEYS[key].0, KEYS[key].1);
                    let current = model.get(&name).map_or(1, |(revision, _)| *revision);
                    let expect = Expect::Revision(current - u64::from(stale));
                    let done = wait(store.write(put(KEYS[key], expect, &data)));
                    match model.get_mut(&name) {
                        None => prop_assert!(matches!(done, Err(StoreError::NotFound))),
                        Some(_) if stale => prop_assert!(matches!(done, Err(StoreError::Conflict(_)))),
                        Some(entry) => *entry = (done.unwrap().resource_version, data),
                    }
                }
                Step::Delete(key, stale) => {
                    let name = key_of(KEYS[key].0, KEYS[key].1);
                    let current = model.get(&name).map_or(1, |(revision, _)| *revision);
                    let done = wait(store.write(delete(KEYS[key], current - u64::from(stale))));
                    if model.contains_key(&name) && !stale {
                        done.unwrap();
                        model.remove(&name);
                    } else {
                        prop_assert!(done.is_err());
                    }
                }
                Step::Restart => {
                    let before = store.revision();
                    drop(store);
                    store = Embedded::open(dir.path(), &options()).unwrap();
                    prop_assert_eq!(store.revision(), before, "revisions never go back");
                    past.retain(|revision, _| *revision == before);
                }
            }
            past.insert(store.revision(), model.clone());
            prop_assert_eq!(&snapshot(&store, &Range::all(None)).unwrap(), &model);
            for (revision, expected) in &past {
                let range = Range { at: Some(*revision), ..Range::all(None) };
                prop_assert_eq!(&snapshot(&store, &range).unwrap(), expected, "at {}", revision);
            }
            let in_a: Model = model.iter().filter(|(key, _)| key.starts_with("a/")).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(&snapshot(&store, &Range::all(Some("a"))).unwrap(), &in_a);
            let changes = store.changes(&configmaps(), cursor, 100).unwrap();
            for event in changes.events {
                let key = key_of(&event.object.namespace, &event.object.name);
                prop_assert!(event.revision > cursor);
                if event.deleted {
                    followed.remove(&key);
                } else {
                    let data = event.object.value()["data"]["k"].as_str().unwrap().to_owned();
                    followed.insert(key, (event.revision, data));
                }
            }
            cursor = changes.upto;
            prop_assert_eq!(&followed, &model, "what a watcher has seen");
        }
    }
}

#[test]
fn pages_are_of_one_state_and_history_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Options {
        history_events: 10,
        ..options()
    };
    let store = Embedded::open(dir.path(), &limits).unwrap();
    for number in 0..5 {
        wait(store.write(put(("a", &format!("o{number}")), Expect::Absent, "1"))).unwrap();
    }
    let first = Range {
        limit: 2,
        ..Range::all(None)
    };
    let page = Store::range(&store, &configmaps(), &first).unwrap();
    assert_eq!((page.objects.len(), page.remaining), (2, 3));
    let third = page.objects[0].resource_version + 2;
    wait(store.write(delete(("a", "o2"), third))).unwrap();
    let rest = Range {
        after: Some("a/o1"),
        at: Some(page.revision),
        ..Range::all(None)
    };
    let page = Store::range(&store, &configmaps(), &rest).unwrap();
    let names: Vec<_> = page.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(
        names,
        ["o2", "o3", "o4"],
        "deleted meanwhile, but there at that revision"
    );
    for number in 5..20 {
        wait(store.write(put(("a", &format!("o{number}")), Expect::Absent, "1"))).unwrap();
    }
    assert!(matches!(
        Store::range(&store, &configmaps(), &rest),
        Err(StoreError::Compacted(_))
    ));
    assert!(matches!(
        store.changes(&configmaps(), 2, 9),
        Err(StoreError::Compacted(_))
    ));
    let future = Range {
        at: Some(10_000),
        ..Range::all(None)
    };
    assert!(matches!(
        Store::range(&store, &configmaps(), &future),
        Err(StoreError::Future(_))
    ));
}

#[test]
fn objects_expire() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), &options()).unwrap();
    let mut write = put(("a", "event"), Expect::Absent, "1");
    if let Change::Put { expires, .. } = &mut write.change {
        *expires = Some(super::writer::now() + 1);
    }
    wait(async {
        let mut changed = store.subscribe(&configmaps());
        store.write(write).await.unwrap();
        changed.borrow_and_update();
        changed.changed().await.unwrap();
    });
    assert!(Store::get(&store, &configmaps(), "a/event").is_none());
    let changes = store.changes(&configmaps(), 1, 10).unwrap();
    assert!(changes.events.last().unwrap().deleted);
}

#[test]
fn an_unreadable_object_is_left_out_and_stays_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), &options()).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    let mut deep = put(("a", "deep"), Expect::Absent, "1");
    if let Change::Put { object, .. } = &mut deep.change {
        let text = String::from_utf8(object.bytes.to_vec()).unwrap();
        let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
        object.bytes = text.replace("\"1\"", &nested).into();
    }
    wait(store.write(deep)).unwrap();
    let revision = store.revision();
    drop(store);
    for _ in 0..2 {
        let again = Embedded::open(dir.path(), &options()).unwrap();
        assert_eq!(again.revision(), revision);
        assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), 1);
        assert!(Store::get(&again, &configmaps(), "a/deep").is_none());
    }
    let file = std::fs::read(super::disk::file_in(dir.path())).unwrap();
    assert!(
        file.windows(128).any(|bytes| bytes == [b'['; 128]),
        "the row stays"
    );
}

#[test]
fn many_writers_share_commits_and_see_their_own_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(dir.path(), &options()).unwrap());
    let revisions: Vec<u64> = wait(async {
        let writes = (0..500).map(|number| {
            let store = Arc::clone(&store);
            async move {
                let name = format!("o{number}");
                let stored = store.write(put(("a", &name), Expect::Absent, "1")).await.unwrap();
                let read = Store::get(&*store, &configmaps(), &format!("a/{name}")).unwrap();
                assert_eq!(read.resource_version, stored.resource_version);
                stored.resource_version
            }
        });
        futures::future::join_all(writes).await
    });
    let distinct: std::collections::BTreeSet<_> = revisions.iter().collect();
    assert_eq!(distinct.len(), 500);
    assert_eq!(store.count(&configmaps()), 500);
}
