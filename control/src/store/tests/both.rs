//! What every store must do, whatever is behind it: against a simple model, in pages, with expiry, with many writers.

use proptest::prelude::*;

use super::*;
use crate::encryption::Encryption;
use crate::object::Reader;

/// Something that stores can be opened on, one after the other.
pub trait Subject {
    /// The store.
    type Store: Store + 'static;
    /// Opens it, with what was in it before.
    fn open(&mut self, options: &Options) -> Self::Store;
}

/// A directory.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Subject for Directory {
    type Store = Embedded;

    fn open(&mut self, options: &Options) -> Embedded {
        Embedded::open(self.0.path(), options).unwrap()
    }
}

/// What the model does.
#[derive(Debug, Clone)]
pub enum Step {
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
pub type Model = BTreeMap<String, (u64, String)>;

pub fn snapshot(store: &impl Store, range: &Range<'_>) -> Result<Model, StoreError> {
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

    #[test]
    fn behaves_like_a_map_with_history(steps in steps()) {
        follow_model(&mut Directory::new(), steps)?;
    }
}

/// Sequences of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..40)
}

/// Any sequence of writes, with stale ones and restarts between them, gives what a map would give: now, at every
/// revision that is still in the history, and to a watcher that follows.
pub fn follow_model(subject: &mut impl Subject, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut store = subject.open(&options());
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
                store = subject.open(&options());
                prop_assert!(store.revision() >= before, "revisions never go back");
                past.retain(|revision, _| *revision == before);
            }
        }
        past.insert(store.revision(), model.clone());
        prop_assert_eq!(&snapshot(&store, &Range::all(None)).unwrap(), &model);
        for (revision, expected) in &past {
            let range = Range {
                at: Some(*revision),
                ..Range::all(None)
            };
            prop_assert_eq!(&snapshot(&store, &range).unwrap(), expected, "at {}", revision);
        }
        let in_a: Model = model
            .iter()
            .filter(|(key, _)| key.starts_with("a/"))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
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
    Ok(())
}

#[test]
fn pages_are_of_one_state_and_history_is_bounded() {
    read_pages(&mut Directory::new());
}

/// Pages of a list, and what is left of history.
pub fn read_pages(subject: &mut impl Subject) {
    let limits = Options {
        history_events: 10,
        ..options()
    };
    let store = subject.open(&limits);
    for number in 0..5 {
        wait(store.write(put(("a", &format!("o{number}")), Expect::Absent, "1"))).unwrap();
    }
    let first = Range {
        limit: 2,
        ..Range::all(None)
    };
    let page = Store::range(&store, &configmaps(), &first).unwrap();
    assert_eq!((page.objects.len(), page.remaining), (2, 3));
    let third = Store::get(&store, &configmaps(), "a/o2")
        .unwrap()
        .resource_version;
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
    expire(&mut Directory::new());
}

/// An object that expires is deleted, and its watchers hear of it.
pub fn expire(subject: &mut impl Subject) {
    let store = subject.open(&options());
    let before = store.revision();
    let mut write = put(("a", "event"), Expect::Absent, "1");
    if let Change::Put { expires, .. } = &mut write.change {
        *expires = Some(crate::store::writer::now() + 1);
    }
    wait(async {
        let mut changed = store.subscribe(&configmaps());
        store.write(write).await.unwrap();
        changed.borrow_and_update();
        changed.changed().await.unwrap();
    });
    assert!(Store::get(&store, &configmaps(), "a/event").is_none());
    let changes = store.changes(&configmaps(), before, 10).unwrap();
    assert!(changes.events.last().unwrap().deleted);
}

#[test]
fn many_writers_share_commits_and_see_their_own_writes() {
    write_at_once(&mut Directory::new());
}

/// Writes at the same time get revisions of their own, and who made one can read it.
pub fn write_at_once(subject: &mut impl Subject) {
    let store = Arc::new(subject.open(&options()));
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

#[test]
fn authorization_reads_what_can_be_decrypted() {
    read_beside_sealed(&mut Directory::new());
}

/// An object that cannot be decrypted fails lists, but hides no other one from authorization and admission.
pub fn read_beside_sealed(subject: &mut impl Subject) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("encryption.yaml");
    let text = crate::encryption::configuration::with_new_key().unwrap();
    std::fs::write(&file, text.replace("[secrets]", "[configmaps]")).unwrap();
    let encrypting = Options {
        encryption: Arc::new(Encryption::from_file(Some(&file)).unwrap()),
        ..options()
    };
    let store = subject.open(&encrypting);
    wait(store.write(put(("a", "sealed"), Expect::Absent, "1"))).unwrap();
    drop(store);
    let store = subject.open(&options());
    wait(store.write(put(("a", "plain"), Expect::Absent, "1"))).unwrap();
    let listed = store.range(&configmaps(), &Range::all(None));
    assert!(matches!(listed, Err(StoreError::Unreadable(_))), "{listed:?}");
    assert!(store.unreadable(&configmaps(), "a/sealed").is_some());
    let again = wait(store.write(put(("a", "sealed"), Expect::Absent, "2")));
    assert!(matches!(again, Err(StoreError::Exists)), "{again:?}");
    let names: Vec<_> = store.cache().list(&configmaps(), None);
    let names: Vec<_> = names.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["plain"]);
}
