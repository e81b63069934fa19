//! Snapshots: what is saved is what is restored, and nothing else is taken for a snapshot.

mod forged;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::object::{GroupResource, Object};
use crate::store::{Change, Embedded, Expect, Options, Range, Store, StoreError, Write, key_of};

fn resource(plural: &str) -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", plural))
}

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, &Options::new(|_, _| BTreeMap::new())).unwrap()
}

fn put(plural: &str, name: &str, expect: Expect, data: &str) -> Write {
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"a\"}},\"data\":{{\"k\":\"{data}\"}}}}"
    );
    let object = Object::describe(&serde_json::from_str(&text).unwrap(), text.into());
    Write {
        resource: resource(plural),
        key: key_of("a", name),
        expect,
        change: Change::Put {
            object,
            expires: None,
        },
    }
}

fn create(store: &Embedded, plural: &str, name: &str, data: &str) -> u64 {
    let write = put(plural, name, Expect::Absent, data);
    wait(store.write(write)).unwrap().resource_version
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn state(store: &Embedded, plural: &str) -> Vec<(String, u64, Vec<u8>)> {
    let page = Store::range(store, &resource(plural), &Range::all(None)).unwrap();
    page.objects
        .iter()
        .map(|object| {
            (
                object.name.clone(),
                object.resource_version,
                object.bytes.to_vec(),
            )
        })
        .collect()
}

/// A snapshot of a small store, in memory.
fn small() -> Vec<u8> {
    static SMALL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SMALL.get_or_init(make_small).clone()
}

fn make_small() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..5 {
        create(&store, "pods", &format!("p{number}"), &"x".repeat(number * 40));
    }
    create(&store, "secrets", "s", "1");
    let mut out = Vec::new();
    wait(store.snapshot()).unwrap().write(&mut out).unwrap();
    out
}

fn restored(bytes: &[u8], dir: &Path, how: &Restore) -> Result<(Summary, u64), SnapshotError> {
    let file = dir.join("snapshot");
    fs::write(&file, bytes).unwrap();
    restore(&file, &dir.join("store"), how)
}

#[test]
fn a_snapshot_of_a_running_store_is_one_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    for number in 0..200 {
        create(&store, "pods", &format!("p{number:03}"), "first");
    }
    // Each round writes two objects, the second only once the first is stored: no state has the second without the first.
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writing = std::thread::spawn({
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        move || {
            let mut round = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                create(&store, "pods", &format!("a{round}"), "1");
                create(&store, "secrets", &format!("b{round}"), "1");
                round += 1;
            }
            round
        }
    });
    let mut snapshots = Vec::new();
    for _ in 0..5 {
        let before = store.revision();
        let mut out = Vec::new();
        let summary = wait(store.snapshot()).unwrap().write(&mut out).unwrap();
        assert!(summary.revision >= before, "everything acknowledged is in it");
        assert_eq!(verify(&out[..]).unwrap(), summary);
        snapshots.push((summary, out));
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(writing.join().unwrap() > 0);
    for (summary, bytes) in snapshots {
        let dir = tempfile::tempdir().unwrap();
        restored(&bytes, dir.path(), &Restore::default()).unwrap();
        let again = open(&dir.path().join("store"));
        let (pods, secrets) = (state(&again, "pods"), state(&again, "secrets"));
        // Every write made an object, so the revision tells how many there are.
        assert_eq!(pods.len() + secrets.len(), summary.revision as usize - 1);
        assert_eq!(summary.objects, summary.revision - 1);
        let rounds = pods.len() - 200;
        assert!(secrets.len() == rounds || secrets.len() + 1 == rounds);
        assert!(
            pods.iter()
                .chain(&secrets)
                .all(|(_, at, _)| *at <= summary.revision)
        );
    }
}

#[test]
fn what_is_restored_is_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("saved");
    let store = open(&saved);
    for number in 0..50 {
        create(&store, "pods", &format!("p{number}"), &"x".repeat(number * 300));
    }
    let before = (state(&store, "pods"), store.revision());
    drop(store);
    let mut bytes = Vec::new();
    let summary = save(&saved, &mut bytes).unwrap().unwrap();
    assert_eq!((summary.revision, summary.objects), (before.1, 50));
    assert_eq!(summary.bytes, bytes.len() as u64);
    let (again, revision) = restored(&bytes, dir.path(), &Restore::default()).unwrap();
    assert_eq!(again, summary);
    let store = open(&dir.path().join("store"));
    assert_eq!(state(&store, "pods"), before.0);
    assert_eq!(store.revision(), revision);
    assert_eq!(revision, before.1 + BUMP);
    drop(store);
    // A second start is no different, and a snapshot of the restored store can be restored in turn.
    drop(open(&dir.path().join("store")));
    let mut twice = Vec::new();
    save(&dir.path().join("store"), &mut twice).unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    restored(&twice, elsewhere.path(), &Restore::default()).unwrap();
    assert_eq!(state(&open(&elsewhere.path().join("store")), "pods"), before.0);
}

/// Clients that have seen what came after the snapshot are told to begin anew, whatever they ask for.
#[test]
fn nothing_from_before_a_restore_goes_on_silently() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("saved");
    let store = open(&saved);
    create(&store, "pods", "old", "1");
    let mut bytes = Vec::new();
    wait(store.snapshot()).unwrap().write(&mut bytes).unwrap();
    // Seen by clients, and not in the snapshot: a resource that it does not know at all among them.
    create(&store, "pods", "new", "1");
    let seen = create(&store, "secrets", "only", "1");
    drop(store);
    for bump in [BUMP, 1000, 0] {
        let dir = tempfile::tempdir().unwrap();
        let how = Restore { bump, force: false };
        let (summary, revision) = restored(&bytes, dir.path(), &how).unwrap();
        assert_eq!(revision, summary.revision + bump);
        let store = open(&dir.path().join("store"));
        for plural in ["pods", "secrets", "never-used"] {
            let asked = if bump == 0 { summary.revision - 1 } else { seen };
            let changes = store.changes(&resource(plural), asked, 10);
            assert!(
                matches!(changes, Err(StoreError::Compacted(_))),
                "{plural}: {changes:?}"
            );
            let range = Range {
                at: Some(asked),
                ..Range::all(None)
            };
            let page = Store::range(&store, &resource(plural), &range);
            assert!(
                matches!(page, Err(StoreError::Compacted(_))),
                "{plural}: {page:?}"
            );
            // From a list of now on, everything follows.
            let page = Store::range(&store, &resource(plural), &Range::all(None)).unwrap();
            assert_eq!(page.revision, revision);
            assert!(
                store
                    .changes(&resource(plural), page.revision, 10)
                    .unwrap()
                    .events
                    .is_empty()
            );
        }
        // An object that changed after the snapshot cannot be overwritten by who knows the later one.
        let stale = wait(store.write(put("pods", "old", Expect::Revision(seen), "2")));
        assert!(matches!(stale, Err(StoreError::Conflict(_))));
        assert_eq!(create(&store, "secrets", "only", "2"), revision + 1);
        let changes = store.changes(&resource("secrets"), revision, 10).unwrap();
        assert_eq!(changes.events.len(), 1);
        drop(store);
        // The same after another start.
        let store = open(&dir.path().join("store"));
        assert!(store.changes(&resource("never-used"), revision - 1, 10).is_err());
    }
}

#[test]
fn a_directory_with_a_store_is_refused_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = small();
    let target = dir.path().join("store");
    let store = open(&target);
    for number in 0..20 {
        create(&store, "pods", &format!("other{number}"), "1");
    }
    let newest = store.revision();
    let force = Restore { bump: 1, force: true };
    for how in [Restore::default(), force] {
        let error = restored(&bytes, dir.path(), &how).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
    }
    drop(store);
    let error = restored(&bytes, dir.path(), &Restore::default()).unwrap_err();
    assert!(matches!(error, SnapshotError::NotEmpty(_)), "{error}");
    assert_eq!(state(&open(&target), "pods").len(), 20, "and nothing was changed");
    let (_, revision) = restored(&bytes, dir.path(), &force).unwrap();
    assert_eq!(revision, newest + 1, "above what the old store gave out");
    assert_eq!(state(&open(&target), "pods").len(), 5);
    let kept = target.join("store.redb.before-restore");
    assert!(kept.is_file());
    // A damaged one is what it is for; its witness still tells how far revisions had come.
    let file = target.join("store.redb");
    fs::write(&file, "damaged").unwrap();
    let (_, again) = restored(&bytes, dir.path(), &force).unwrap();
    assert_eq!(again, revision + 1);
    assert_eq!(fs::read(&kept).unwrap(), b"damaged");
    let names: Vec<_> = fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("restoring"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn there_must_be_a_store_to_save() {
    let dir = tempfile::tempdir().unwrap();
    let error = save(dir.path(), Vec::new()).unwrap_err();
    assert!(matches!(error, SnapshotError::NoStore(_)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "none was made");
    let store = open(dir.path());
    assert!(
        save(dir.path(), Vec::new()).unwrap().is_none(),
        "open: to be asked for"
    );
    drop(store);
    fs::write(dir.path().join("store.redb"), "damaged").unwrap();
    let error = save(dir.path(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("store.redb is damaged"), "{error}");
}

/// The room that a server keeps for deletions is its own affair: who copies a stopped store or makes a new one needs
/// none, and may have none to give.
#[test]
fn only_a_server_keeps_room_for_deletions() {
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("store");
    let bytes = small();
    restored(&bytes, dir.path(), &Restore::default()).unwrap();
    let offline = ["store.redb", "store.revision"];
    assert_eq!(names(&target), offline);
    let mut saved = Vec::new();
    save(&target, &mut saved).unwrap().unwrap();
    assert_eq!(names(&target), offline);
    let force = Restore { bump: 1, force: true };
    restored(&bytes, dir.path(), &force).unwrap();
    assert!(!names(&target).contains(&"store.reserve".to_owned()));
    // Who serves it makes the file, if the file system is one that keeps room.
    drop(open(&target));
    let reserve = target.join("store.reserve");
    let kept = fs::metadata(&reserve).unwrap().blocks();
    let elsewhere = tempfile::tempfile_in(dir.path()).unwrap();
    if nix::fcntl::fallocate(&elsewhere, nix::fcntl::FallocateFlags::empty(), 0, 1 << 20).is_ok() {
        assert!(kept > 0);
    }
    // What was drawn from it stays drawn, whoever looks at the store.
    fs::File::options()
        .write(true)
        .open(&reserve)
        .unwrap()
        .set_len(0)
        .unwrap();
    save(&target, Vec::new()).unwrap().unwrap();
    restored(&bytes, dir.path(), &force).unwrap();
    assert_eq!(fs::metadata(&reserve).unwrap().blocks(), 0);
    drop(open(&target));
    assert!(fs::metadata(&reserve).unwrap().blocks() > 0 || kept == 0);
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let whole = small();
    verify(&whole[..]).unwrap();
    for length in 0..whole.len() {
        assert!(verify(&whole[..length]).is_err(), "cut to {length}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(verify(&bytes[..]).is_err(), "bit at {at}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(verify(&longer[..]).is_err());
    // As a transfer in text mode leaves it.
    let text: Vec<u8> = whole.iter().copied().filter(|byte| *byte != b'\r').collect();
    assert!(matches!(verify(&text[..]), Err(SnapshotError::Foreign)));
    assert!(matches!(verify(&b""[..]), Err(SnapshotError::Foreign)));
    let cut = verify(&whole[..100]).unwrap_err().to_string();
    assert!(cut.contains("ends after 100 bytes"), "{cut}");
}

#[test]
fn a_bad_snapshot_restores_nothing() {
    let whole = small();
    let dir = tempfile::tempdir().unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(restored(&bytes, dir.path(), &Restore::default()).is_err());
        assert!(!dir.path().join("store").exists(), "bit at {at}");
    }
}

#[test]
fn a_new_store_begins_far_below_the_last_revision() {
    let whole = small();
    let revision = verify(&whole[..]).unwrap().revision;
    let dir = tempfile::tempdir().unwrap();
    let raised = |bump| restored(&whole, dir.path(), &Restore { bump, force: false });
    for bump in [u64::MAX, HIGHEST_START, HIGHEST_START - revision + 1] {
        let refused = raised(bump).unwrap_err();
        assert!(matches!(refused, SnapshotError::TooHigh { .. }), "{refused}");
        assert!(!dir.path().join("store").exists());
    }
    let (_, begins) = raised(HIGHEST_START - revision).unwrap();
    assert_eq!(begins, HIGHEST_START);
    let store = open(&dir.path().join("store"));
    assert_eq!(create(&store, "pods", "new", "1"), HIGHEST_START + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever follows a sound head, the reader ends with an answer.
    #[test]
    fn no_input_upsets_the_reader(tail in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
        let mut bytes = small();
        bytes.truncate(cut.max(12));
        bytes.extend(tail);
        prop_assert!(verify(&bytes[..]).is_err());
    }
}
