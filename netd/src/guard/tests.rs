//! What is heard, and what was missed.

use super::*;
use crate::lab::{config, on_node, sh};
use crate::settings::Settings;

/// Runs `remove` while the guard is there, and returns what is told; the table of pods is there again by then.
async fn guarded(remove: impl FnOnce(&Membership)) -> Option<Event> {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(&config(dir.path())).unwrap();
    let mut network = Network::open(settings.clone(), dir.path()).unwrap();
    // Before the guard listens: loading deletes what was there.
    network.load_pods_table().unwrap();
    let guard = Guard::new(&settings.id).unwrap();
    let network = SharedNetwork::new(network);
    let (events, mut told) = mpsc::channel(1);
    remove(&guard.membership());
    let told = tokio::select! {
        () = guard.run(&network, &events) => panic!("it has ended"),
        event = told.recv() => event,
        // Only so that the test fails instead of standing still.
        () = tokio::time::sleep(Duration::from_secs(30)) => None,
    };
    assert!(told.is_none() || sh("nft list tables").contains("-pods"));
    told
}

#[test]
fn a_deletion_is_heard() {
    on_node(|| async {
        let told = guarded(|_| drop(sh("nft flush ruleset"))).await;
        assert!(matches!(told, Some(Event::TablesLost)), "{told:?}");
    });
}

#[test]
fn a_deletion_while_nobody_listened_is_found() {
    on_node(|| async {
        let told = guarded(|group| group.without(|| drop(sh("nft flush ruleset")))).await;
        assert!(matches!(told, Some(Event::TablesLost)), "{told:?}");
    });
}
