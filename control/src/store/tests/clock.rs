//! Clocks that jump.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;

const START: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

/// Unix time, as it is set.
static NOW: AtomicU64 = AtomicU64::new(START);

fn create(store: &Embedded, name: &str, expires: Option<u64>) -> u64 {
    let mut write = put(("a", name), Expect::Absent, "1");
    if let Change::Put { expires: at, .. } = &mut write.change {
        *at = expires;
    }
    wait(store.write(write)).unwrap().resource_version
}

/// What a watcher is told from a revision on.
fn told(store: &Embedded, after: u64) -> Vec<(String, bool)> {
    let changes = store.changes(&configmaps(), after, 100).unwrap();
    let events = changes.events.iter();
    events
        .map(|event| (event.object.name.clone(), event.deleted))
        .collect()
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        clock: || NOW.load(Ordering::SeqCst),
        ..options()
    };
    let store = Embedded::open(dir.path(), &options).unwrap();
    let before = store.revision();
    create(&store, "first", None);
    create(&store, "event", Some(START + 3600));
    // A day back: nothing expires, writes and watches go on, revisions ascend.
    NOW.store(START - DAY, Ordering::SeqCst);
    let back = create(&store, "back", None);
    assert_eq!(
        told(&store, before),
        [("first", false), ("event", false), ("back", false)].map(|(name, gone)| (name.to_owned(), gone))
    );
    // Two days on: what has expired goes at the latest with the next thing that happens. What happened a day ago is too old to be
    // told, and who asks for it is told that, not half of it.
    NOW.store(START + DAY, Ordering::SeqCst);
    let forth = create(&store, "forth", None);
    let began = Instant::now();
    let told_all = || store.changes(&configmaps(), before, 100).is_ok();
    while Store::get(&store, &configmaps(), "a/event").is_some() || told_all() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not expire");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(forth > back);
    // In either order: the thread may have looked at the clock before the write came.
    let mut last = told(&store, back);
    last.sort();
    assert_eq!(last, [("event".to_owned(), true), ("forth".to_owned(), false)]);
    // And back once more, with a restart.
    NOW.store(START, Ordering::SeqCst);
    let revision = store.revision();
    drop(store);
    let again = Embedded::open(dir.path(), &options).unwrap();
    assert!(create(&again, "last", Some(START + 10)) > revision);
    assert_eq!(again.count(&configmaps()), 4);
    NOW.store(START + 11, Ordering::SeqCst);
    create(&again, "wakes", None);
    let began = Instant::now();
    while again.count(&configmaps()) != 4 {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not expire");
        std::thread::sleep(Duration::from_millis(5));
    }
}
