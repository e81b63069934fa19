//! Members that hang: their connections stay, and nothing answers.

use std::time::{Duration, Instant};

use super::*;
use crate::store::StoreError;
use crate::store::tests::delete;

/// Writes until one is acknowledged, and reads it; how long that took.
fn work(store: &Etcd, name: &str) -> Duration {
    let began = Instant::now();
    let create = |number: usize| {
        let name = format!("{name}-{number}");
        wait(store.write(put(("a", &name), Expect::Absent, "1")))
    };
    // One whose end is unknown is not repeated: the next has another name.
    let stored = (0..).find_map(|number| match create(number) {
        Ok(stored) => Some(stored),
        Err(StoreError::Failed(_) | StoreError::Unreachable(_)) => None,
        Err(error) => panic!("{error}"),
    });
    let stored = stored.unwrap();
    while let Err(error) = wait(store.barrier().unwrap()) {
        assert!(began.elapsed() < Duration::from_mins(1), "{error}");
    }
    let key = format!("a/{}", stored.name);
    let read = Store::get(store, &configmaps(), &key).expect("it was acknowledged");
    assert_eq!(read.resource_version, stored.resource_version);
    began.elapsed()
}

#[test]
fn a_member_that_hangs_is_left_for_another() {
    let Some(peer) = Peer::start(3) else { return };
    let store = open(&peer, "/registry");
    let before = store.revision();
    work(&store, "before");
    // The one that is connected to: the first.
    peer.pause(0, true);
    // Readers ask all the time, as the API server's do.
    let took = wait(async {
        let barrier = async {
            let began = Instant::now();
            while store.barrier().unwrap().await.is_err() {}
            began.elapsed()
        };
        barrier.await
    });
    println!("read again after {took:?}");
    // A request alone may take ten seconds: other members are asked before.
    assert!(took < Duration::from_secs(8), "reads waited {took:?}");
    let took = work(&store, "during");
    println!("written and read after another {took:?}");
    assert!(took < Duration::from_secs(5), "writes waited {took:?}");
    assert!(store.is_healthy());
    peer.pause(0, false);
    work(&store, "after");
    // Everything once, in order.
    let other = open(&peer, "/registry");
    catch_up(&other);
    let events = |store: &Etcd| {
        let changes = store.changes(&configmaps(), before, usize::MAX).unwrap();
        let names = changes
            .events
            .iter()
            .map(|event| (event.revision, event.object.name.clone()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(events(&store), events(&other));
    assert_eq!(events(&store).len(), store.count(&configmaps()));
}

/// All of etcd hangs for longer than a lease: what had one expires once, when etcd is back, and its watchers hear of it.
#[test]
fn an_etcd_that_hangs_for_longer_than_a_lease_forgets_nothing() {
    let Some(peer) = Peer::start(1) else { return };
    let store = open(&peer, "/registry");
    let before = store.revision();
    let mut expiring = put(("a", "event"), Expect::Absent, "1");
    if let crate::store::Change::Put { expires, .. } = &mut expiring.change {
        *expires = Some(crate::store::writer::now() + 2);
    }
    wait(store.write(expiring)).unwrap();
    let kept = wait(store.write(put(("a", "kept"), Expect::Absent, "1"))).unwrap();
    peer.pause(0, true);
    let refused =
        wait(async { tokio::time::timeout(Duration::from_secs(6), store.barrier().unwrap()).await });
    assert!(
        !matches!(refused, Ok(Ok(()))),
        "nothing is read as if it were new"
    );
    peer.pause(0, false);
    let began = Instant::now();
    while store.count(&configmaps()) > 1 {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not expire");
        std::thread::sleep(Duration::from_millis(20));
    }
    while let Err(error) = wait(store.write(delete(("a", "kept"), kept.resource_version))) {
        if matches!(error, StoreError::NotFound) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "nothing can be written"
        );
    }
    let changes = store.changes(&configmaps(), before, 100).unwrap();
    let deleted: Vec<_> = changes
        .events
        .iter()
        .map(|event| (event.object.name.as_str(), event.deleted))
        .collect();
    assert_eq!(
        deleted,
        [("event", false), ("kept", false), ("event", true), ("kept", true)]
    );
}
