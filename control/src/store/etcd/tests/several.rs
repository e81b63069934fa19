//! Several servers on one etcd.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::store::tests::{delete, object};
use crate::store::{Change, Event, Range, Write, key_of};

/// What somebody else would do with etcd: a key outside of ours.
fn touch_elsewhere(peer: &Peer) {
    peer.ctl(&["put", "/somebody/else", "x"]);
}

fn read(store: &Etcd, name: &str) -> Option<Arc<Object>> {
    Store::get(store, &configmaps(), &key_of("a", name))
}

#[test]
fn what_one_acknowledges_the_other_reads() {
    let Some(peer) = Peer::start(1) else { return };
    let (one, other) = (open(&peer, "/registry"), open(&peer, "/registry"));
    for number in 0..100 {
        let name = format!("o{number}");
        let stored = wait(one.write(put(("a", &name), Expect::Absent, "1"))).unwrap();
        if number % 10 == 0 {
            touch_elsewhere(&peer);
        }
        catch_up(&other);
        let seen = read(&other, &name).expect("acknowledged before the barrier");
        assert_eq!(seen.resource_version, stored.resource_version);
        assert_eq!(seen.bytes, stored.bytes);
        wait(other.write(delete(("a", &name), stored.resource_version))).unwrap();
        catch_up(&one);
        assert!(read(&one, &name).is_none());
    }
    // A revision that has been told elsewhere is waited for; one of the future is not waited for for ever.
    let stored = wait(one.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    if let Some(reached) = other.reach(stored.resource_version) {
        wait(reached).unwrap();
    }
    assert!(read(&other, "x").is_some());
    let future = wait(other.reach(stored.resource_version + 1000).unwrap());
    assert!(matches!(future, Err(StoreError::Future(_))), "{future:?}");
}

#[test]
fn counters_lose_no_step_and_watchers_see_each_once() {
    const EACH: usize = 150;
    let Some(peer) = Peer::start(1) else { return };
    let stores: Vec<Arc<Etcd>> = (0..3).map(|_| Arc::new(open(&peer, "/registry"))).collect();
    let first = wait(stores[0].write(put(("a", "n"), Expect::Absent, "0"))).unwrap();
    for store in &stores {
        catch_up(store);
    }
    let writers = stores.iter().map(|store| {
        let store = Arc::clone(store);
        std::thread::spawn(move || {
            let mut done = 0;
            while done < EACH {
                let current = read(&store, "n").unwrap();
                let count: usize = current.value()["data"]["k"].as_str().unwrap().parse().unwrap();
                let expect = Expect::Revision(current.resource_version);
                match wait(store.write(put(("a", "n"), expect, &(count + 1).to_string()))) {
                    Ok(_) => done += 1,
                    Err(StoreError::Conflict(newer)) => {
                        assert!(newer.resource_version > current.resource_version);
                        // The reason has been seen, so the next try is not in vain.
                        assert!(read(&store, "n").unwrap().resource_version >= newer.resource_version);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.join().unwrap();
    }
    for store in &stores {
        catch_up(store);
        let changes = store
            .changes(&configmaps(), first.resource_version, usize::MAX)
            .unwrap();
        let counts: Vec<usize> = changes.events.iter().map(|event| count(event)).collect();
        assert_eq!(counts, (1..=3 * EACH).collect::<Vec<_>>());
    }
}

fn count(event: &Event) -> usize {
    event.object.value()["data"]["k"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_server_that_starts_later_knows_what_happened_before() {
    let Some(peer) = Peer::start(1) else { return };
    let one = open(&peer, "/registry");
    let first = wait(one.write(put(("a", "x"), Expect::Absent, "0"))).unwrap();
    let mut last = Arc::clone(&first);
    for number in 1..=20 {
        let expect = Expect::Revision(last.resource_version);
        last = wait(one.write(put(("a", "x"), expect, &number.to_string()))).unwrap();
    }
    wait(one.write(delete(("a", "x"), last.resource_version))).unwrap();
    let later = open(&peer, "/registry");
    let changes = later.changes(&configmaps(), first.resource_version, 100).unwrap();
    assert_eq!(changes.events.len(), 21);
    assert!(changes.events[20].deleted);
    // What etcd has forgotten, it does not know.
    peer.ctl(&["compaction", &last.resource_version.to_string()]);
    let last = open(&peer, "/registry");
    let changes = last.changes(&configmaps(), first.resource_version, 100);
    assert!(matches!(changes, Err(StoreError::Compacted(_))), "{changes:?}");
}

#[test]
fn a_watch_that_etcd_has_compacted_reads_everything_again() {
    let Some(peer) = Peer::start(1) else { return };
    let writer = open(&peer, "/registry");
    let kept = wait(writer.write(put(("a", "kept"), Expect::Absent, "0"))).unwrap();
    let gone = wait(writer.write(put(("a", "gone"), Expect::Absent, "0"))).unwrap();
    peer.ctl(&["put", "/registry/configmaps/a/foreign", "k8s\u{1}not ours"]);
    catch_up(&writer);
    // Where history is said to begin, so that what is loaded is no older.
    peer.ctl(&["put", "compact_rev_key", &writer.revision().to_string()]);
    // One that has loaded, and was then cut off.
    let core = Arc::new(Core::new(settings(&peer, "/registry")).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut changed = runtime.block_on(async {
        load::open(&core).await.unwrap();
        core.cache.write().subscribe(&configmaps())
    });
    let cursor = core.cache.read().revision();
    assert!(core.cache.sealed().check(&configmaps(), None).is_err());
    peer.ctl(&["del", "/registry/configmaps/a/foreign"]);
    wait(writer.write(delete(("a", "gone"), gone.resource_version))).unwrap();
    let expect = Expect::Revision(kept.resource_version);
    let newer = wait(writer.write(put(("a", "kept"), expect, "1"))).unwrap();
    peer.ctl(&["compaction", &newer.resource_version.to_string()]);
    changed.borrow_and_update();
    runtime.block_on(async {
        let follow = tokio::spawn(feed::follow(Arc::clone(&core)));
        changed.changed().await.unwrap();
        follow.abort();
    });
    let index = core.cache.read();
    assert_eq!(
        index.get(&configmaps(), "a/kept").unwrap().resource_version,
        newer.resource_version
    );
    assert!(index.get(&configmaps(), "a/gone").is_none());
    // Nor does what could not be read and is gone hide the rest.
    assert!(core.cache.sealed().check(&configmaps(), None).is_ok());
    let changes = index.changes(&configmaps(), cursor, 10);
    assert!(matches!(changes, Err(StoreError::Compacted(_))), "{changes:?}");
}

#[test]
fn compaction_is_done_by_one_and_leaves_history() {
    let Some(peer) = Peer::start(1) else { return };
    let often = || {
        let options = EtcdOptions {
            compaction: Some(Duration::from_millis(300)),
            ..settings(&peer, "/registry")
        };
        wait(Etcd::open(options)).unwrap()
    };
    let (one, other) = (often(), often());
    let first = wait(one.write(put(("a", "x"), Expect::Absent, "0"))).unwrap();
    let began = std::time::Instant::now();
    let compacted = || {
        let text = peer.ctl(&["get", "--print-value-only", "compact_rev_key"]);
        text.trim().parse::<u64>().unwrap_or(0)
    };
    let mut last = first.clone();
    while compacted() <= first.resource_version + 3 {
        assert!(began.elapsed() < Duration::from_secs(30));
        let expect = Expect::Revision(last.resource_version);
        last = wait(one.write(put(("a", "x"), expect, "1"))).unwrap();
        catch_up(&other);
    }
    // Our own history is not etcd's.
    let changes = other
        .changes(&configmaps(), first.resource_version, 1000)
        .unwrap();
    assert_eq!(changes.events.last().unwrap().revision, last.resource_version);
    let later = open(&peer, "/registry");
    let old = later.changes(&configmaps(), first.resource_version, 1000);
    assert!(matches!(old, Err(StoreError::Compacted(_))), "{old:?}");
}

#[test]
fn what_only_one_can_have_is_given_once() {
    let Some(peer) = Peer::start(1) else { return };
    let (one, other) = (open(&peer, "/registry"), open(&peer, "/registry"));
    let stored = wait(one.write(put(("a", "x"), Expect::Absent, "claim-7"))).unwrap();
    let taken = wait(other.write(put(("a", "y"), Expect::Absent, "claim-7")));
    assert!(
        matches!(&taken, Err(StoreError::Taken(what)) if what == "claim-7"),
        "{taken:?}"
    );
    assert!(read(&other, "y").is_none());
    // Who has it keeps it through an update, and hands it over with another one.
    let expect = Expect::Revision(stored.resource_version);
    let stored = wait(other.write(put(("a", "x"), expect, "claim-7"))).unwrap();
    let expect = Expect::Revision(stored.resource_version);
    let stored = wait(one.write(put(("a", "x"), expect, "claim-8"))).unwrap();
    let second = wait(other.write(put(("a", "y"), Expect::Absent, "claim-7"))).unwrap();
    for held in [("x", stored), ("y", second)] {
        wait(one.write(delete(("a", held.0), held.1.resource_version))).unwrap();
    }
    let left = peer.ctl(&["get", "--prefix", "--keys-only", "/registry/keelson/claims"]);
    assert_eq!(left.trim(), "");
}

/// Any member may die; what was acknowledged is there, and what was not may be.
#[test]
fn writes_go_on_when_members_die() {
    let Some(mut peer) = Peer::start(3) else { return };
    let store = Arc::new(open(&peer, "/registry"));
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|writer| {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let name = format!("w{writer}-{number}");
                let write = Write {
                    resource: configmaps(),
                    key: key_of("a", &name),
                    expect: Expect::Absent,
                    change: Change::Put {
                        object: object("a", &name, "1"),
                        expires: None,
                    },
                };
                match wait(store.write(write)) {
                    Ok(_) => acknowledged.push(name),
                    Err(StoreError::Failed(_) | StoreError::Unreachable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            acknowledged
        })
    });
    let writers: Vec<_> = writers.collect();
    for member in 0..3 {
        let before = store.count(&configmaps());
        peer.kill(member);
        let began = std::time::Instant::now();
        while store.count(&configmaps()) < before + 50 {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "no writes without member {member}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        peer.restart(member);
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<String> = writers
        .into_iter()
        .flat_map(|writer| writer.join().unwrap())
        .collect();
    assert!(acknowledged.len() > 150);
    catch_up(&store);
    let fresh = open(&peer, "/registry");
    for name in &acknowledged {
        assert!(read(&store, name).is_some(), "{name} is lost");
        assert!(read(&fresh, name).is_some(), "{name} is lost");
    }
    assert_eq!(store.count(&configmaps()), fresh.count(&configmaps()));
}

/// Of those who decide by what they have read, one after the other gets through, and none goes by what was there before.
#[test]
fn turns_come_one_after_the_other() {
    const ROOM: usize = 25;
    let Some(peer) = Peer::start(1) else { return };
    let stores: Vec<Arc<Etcd>> = (0..3).map(|_| Arc::new(open(&peer, "/registry"))).collect();
    let overtaken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    // Two on each server, so that they meet there as well.
    let writers = (0..6).map(|number| {
        let (store, overtaken) = (Arc::clone(&stores[number % 3]), Arc::clone(&overtaken));
        std::thread::spawn(move || {
            let mut done = 0;
            loop {
                let turn = wait(store.turn("a").unwrap()).unwrap();
                let there = Store::range(&*store, &configmaps(), &Range::all(Some("a"))).unwrap();
                if there.objects.len() >= ROOM {
                    return done;
                }
                let name = format!("w{number}-{done}");
                match wait(store.write_in_turn(put(("a", &name), Expect::Absent, "x"), turn)) {
                    Ok(_) => done += 1,
                    Err(StoreError::Overtaken) => drop(overtaken.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let done: Vec<usize> = writers
        .collect::<Vec<_>>()
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .collect();
    catch_up(&stores[0]);
    assert_eq!(done.iter().sum::<usize>(), ROOM);
    let there = Store::range(&*stores[0], &configmaps(), &Range::all(Some("a"))).unwrap();
    assert_eq!(there.objects.len(), ROOM);
    assert!(overtaken.load(Ordering::Relaxed) > 0, "they never met");
    // What is already there is told as such, and a turn in another matter is not waited for.
    let turn = wait(stores[0].turn("a").unwrap()).unwrap();
    let other = wait(stores[0].turn("b").unwrap()).unwrap();
    let name = there.objects[0].name.clone();
    let again = wait(stores[0].write_in_turn(put(("a", &name), Expect::Absent, "x"), other));
    assert!(matches!(again, Err(StoreError::Exists)), "{again:?}");
    drop(turn);
    wait(stores[0].turn("a").unwrap()).unwrap();
}
