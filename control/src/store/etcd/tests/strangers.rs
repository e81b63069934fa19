//! An etcd in which somebody else writes, too.

use super::*;

#[test]
fn a_key_that_is_no_object_of_ours_disturbs_nobody() {
    let Some(peer) = Peer::start(1) else { return };
    let store = open(&peer, "/registry");
    let before = store.revision();
    peer.ctl(&["put", "/registry/configmaps/a/foreign", "k8s\u{1}not ours"]);
    peer.ctl(&["put", "/registry/somethings/a/b", "{}"]);
    peer.ctl(&["del", "/registry/configmaps/a/foreign"]);
    peer.ctl(&["put", "/registry/configmaps/a/foreign", "{}"]);
    catch_up(&store);
    assert!(store.revision() >= before + 4);
    assert_eq!(store.count(&configmaps()), 0);
    assert!(matches!(
        wait(store.write(put(("a", "foreign"), Expect::Absent, "1"))),
        Err(StoreError::Exists)
    ));
    assert!(wait(store.write(put(("a", "ours"), Expect::Absent, "1"))).is_ok());
    let again = open(&peer, "/registry");
    assert_eq!(again.count(&configmaps()), 1);
}

/// A revision of somebody else's never comes by the watch, so who waits for it has to do something, and soon. Without
/// strangers, neither reads nor turns write anything.
#[test]
fn strangers_hold_nobody_up() {
    let Some(peer) = Peer::start(1) else { return };
    let store = open(&peer, "/registry");
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    let alone = store.revision();
    for _ in 0..10 {
        wait(store.turn("a").unwrap()).unwrap();
        catch_up(&store);
    }
    assert_eq!(store.revision(), alone);
    let stranger = Client::new(&Servers::new(peer.urls())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let put_elsewhere = || {
        let put = proto::Op::Put(proto::PutRequest {
            key: b"/somebody/else".to_vec(),
            value: bytes::Bytes::new(),
            lease: 0,
        });
        let request = proto::TxnRequest {
            success: vec![put.into()],
            ..proto::TxnRequest::default()
        };
        let answer = runtime.block_on(stranger.txn(request)).unwrap();
        answer.header.unwrap().revision as u64
    };
    let (mut turns, mut barriers) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let strange = put_elsewhere();
        let began = std::time::Instant::now();
        wait(store.turn("a").unwrap()).unwrap();
        turns.push(began.elapsed());
        assert!(store.revision() >= strange);
        let strange = put_elsewhere();
        let began = std::time::Instant::now();
        catch_up(&store);
        barriers.push(began.elapsed());
        assert!(store.revision() >= strange);
    }
    for mut times in [turns, barriers] {
        times.sort();
        // The quickest: without help, not even that one comes before the usual time.
        assert!(times[0] < lag::USUAL, "{times:?}");
    }
}
