//! Servers that answer late, that they cannot, or with less than was asked for.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::fake::{self, Answer, Fake};
use super::proto::{KeyValue, RangeResponse, TxnResponse};
use super::*;

fn options_for(fakes: &[&Fake]) -> EtcdOptions {
    EtcdOptions {
        servers: Servers::new(fakes.iter().map(|fake| fake.url()).collect()),
        store: options(),
        builtin: vec![GroupResource::new("", "configmaps")],
        claims: |_, _| std::collections::BTreeSet::new(),
        compaction: None,
    }
}

/// A store on such servers.
fn on(fakes: &[&Fake]) -> Etcd {
    wait(Etcd::open(options_for(fakes))).unwrap()
}

fn until(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(20), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn refuse(method: &str, _: &[u8]) -> Option<Answer> {
    (method == "Txn").then_some(Answer::Status(14, "etcdserver: request timed out"))
}

/// The watch goes on, and so /readyz stays as it is.
#[test]
fn a_request_that_etcd_gives_up_ends_no_watch() {
    let fake = Fake::start(refuse);
    let mut store = on(&[&fake]);
    until("it is healthy", || store.is_healthy());
    store.attached.borrow_and_update();
    for _ in 0..3 {
        let failed = wait(store.write(put(("a", "x"), Expect::Absent, "1")));
        assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
        wait(store.barrier().unwrap()).unwrap();
    }
    // Longer than it takes to begin a watch again.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(fake.called("Watch"), 1);
    assert!(store.is_healthy() && !store.attached.has_changed().unwrap());
}

/// Of several servers another one is asked then; the watch comes after when the first one falls behind.
#[test]
fn requests_go_to_another_server_and_the_watch_only_when_it_is_behind() {
    let revision = Arc::new(AtomicI64::new(1));
    let (first, second) = (Fake::start(refuse), {
        let revision = Arc::clone(&revision);
        Fake::start(move |method, _| {
            let header = Some(fake::at(revision.load(Ordering::SeqCst)));
            let answer = RangeResponse {
                header,
                ..RangeResponse::default()
            };
            (method == "Range").then(|| Answer::of(&answer))
        })
    });
    let store = on(&[&first, &second]);
    until("it is healthy", || store.is_healthy());
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap_err();
    wait(store.barrier().unwrap()).unwrap();
    assert!(second.called("Range") > 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((first.called("Watch"), second.called("Watch")), (1, 0));
    revision.store(5, Ordering::SeqCst);
    wait(store.barrier().unwrap()).unwrap_err();
    until("the watch has moved", || second.called("Watch") == 1);
}

/// Those who wait for the same event ask for it once, and all hear that it has not come.
#[test]
fn waiting_for_what_does_not_come_is_shared() {
    for answered in [true, false] {
        let fake = Fake::start(move |method, _| {
            let header = Some(fake::at(5));
            match method {
                "Range" => Some(Answer::of(&RangeResponse {
                    header,
                    ..RangeResponse::default()
                })),
                "Txn" if answered => Some(Answer::of(&TxnResponse {
                    header,
                    ..TxnResponse::default()
                })),
                "Txn" => Some(Answer::Nothing),
                _ => None,
            }
        });
        let mut core = Core::new(options_for(&[&fake])).unwrap();
        core.client.limit = Duration::from_millis(500);
        wait(async {
            let matters = ["a", "b", "c", "d", "e"].map(|matter| turns::take(&core, matter));
            let turns = futures::future::join_all(matters);
            let (turns, read) = futures::join!(turns, barrier::catch_up(&core));
            for turn in turns {
                assert!(matches!(turn, Err(StoreError::Unreachable(_))), "{turn:?}");
            }
            assert!(matches!(read, Err(StoreError::Unreachable(_))), "{read:?}");
            assert_eq!(fake.called("Txn"), 1, "answered: {answered}");
            // Who comes later tries again.
            barrier::catch_up(&core).await.unwrap_err();
            assert_eq!(fake.called("Txn"), 2, "answered: {answered}");
        });
    }
}

/// Who waits for its turn to touch the key is not held up by the one who does.
#[test]
fn what_has_come_is_not_waited_for() {
    let fake = Fake::start(|_, _| None);
    let core = Core::new(options_for(&[&fake])).unwrap();
    wait(async {
        let _touching = core.touching.lock().await;
        let mut waiting = std::pin::pin!(barrier::await_revision(&core, 5));
        // Longer than an event of ours takes: from then on it waits for the other.
        let early = tokio::time::timeout(4 * lag::USUAL, waiting.as_mut()).await;
        assert!(early.is_err());
        core.seen.send_replace(5);
        assert_eq!(waiting.now_or_never(), Some(true));
    });
}

/// Fifty objects, of which so many at once are too many for an answer, or take too long.
#[test]
fn pages_that_do_not_come_are_asked_for_in_pieces() {
    let text = |name: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
             \"namespace\":\"a\"}}}}"
        )
    };
    let pairs: Vec<KeyValue> = (10..60)
        .map(|number| KeyValue {
            key: format!("/registry/configmaps/a/o{number}").into_bytes(),
            mod_revision: number,
            version: 1,
            value: text(&format!("o{number}")).into(),
        })
        .collect();
    let fake = Fake::start(move |method, bytes| {
        let asked = (method == "Range").then(|| fake::range(bytes))?;
        if asked.limit > 12 {
            return Some(Answer::Status(8, "grpc: trying to send message larger than max"));
        }
        if asked.limit > 3 {
            return Some(Answer::Nothing);
        }
        let all = pairs
            .iter()
            .filter(|pair| pair.key >= asked.key && (pair.key < asked.range_end || pair.key == asked.key));
        let limit = if asked.limit == 0 {
            usize::MAX
        } else {
            asked.limit as usize
        };
        let kvs: Vec<KeyValue> = all.clone().take(limit).cloned().collect();
        let more = all.count() > kvs.len();
        Some(Answer::of(&RangeResponse {
            header: Some(fake::at(1)),
            kvs,
            more,
        }))
    });
    let mut core = Core::new(options_for(&[&fake])).unwrap();
    core.client.limit = Duration::from_millis(500);
    wait(load::open(&core)).unwrap();
    assert_eq!(core.cache.read().count(&configmaps()), 50);
}
