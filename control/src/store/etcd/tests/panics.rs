//! The end of what follows etcd.

use super::*;

/// Who does not follow any more must not seem well, nor refuse reads for ever.
#[test]
fn a_panic_of_what_follows_etcd_is_the_end_of_the_store() {
    let Some(peer) = Peer::start(1) else { return };
    let options = EtcdOptions {
        store: Options::new(|_, value| {
            assert_ne!(value["data"]["k"], "panic", "as asked for");
            std::collections::BTreeMap::new()
        }),
        ..settings(&peer, "/registry")
    };
    let (store, other) = (wait(Etcd::open(options)).unwrap(), open(&peer, "/registry"));
    wait(other.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    catch_up(&store);
    assert!(store.failed().now_or_never().is_none());
    wait(other.write(put(("a", "y"), Expect::Absent, "panic"))).unwrap();
    let soon = Duration::from_secs(20);
    let why = wait(async { tokio::time::timeout(soon, store.failed()).await });
    assert!(why.unwrap().contains("panicked"));
    let refused = wait(store.write(put(("a", "z"), Expect::Absent, "1")));
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
}
