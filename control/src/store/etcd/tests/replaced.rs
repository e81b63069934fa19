//! An older copy of etcd's files in their place, while a server runs: it must not go on as if nothing had happened.

use std::path::Path;
use std::time::Duration;

use super::*;

/// Long enough for any machine.
const SOON: Duration = Duration::from_secs(30);

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

/// An etcd that was copied, and then went on.
struct Copied {
    peer: Peer,
    copy: tempfile::TempDir,
}

impl Copied {
    fn new() -> Option<Self> {
        let mut peer = Peer::start(1)?;
        let copy = tempfile::tempdir().unwrap();
        peer.ctl(&["put", "/registry/configmaps/a/old", "x"]);
        peer.kill(0);
        self::copy(&peer.data_dir(0), &copy.path().join("files"));
        peer.restart(0);
        Some(Self { peer, copy })
    }

    /// Puts the copy in place.
    fn replace(&mut self) {
        self.peer.kill(0);
        std::fs::remove_dir_all(self.peer.data_dir(0)).unwrap();
        copy(&self.copy.path().join("files"), &self.peer.data_dir(0));
        self.peer.restart(0);
    }
}

#[test]
fn a_server_ends_when_revisions_have_gone_back() {
    let Some(mut etcd) = Copied::new() else { return };
    let store = open(&etcd.peer, "/registry");
    for number in 0..5 {
        wait(store.write(put(("a", &format!("o{number}")), Expect::Absent, "1"))).unwrap();
    }
    etcd.replace();
    let why = wait(async { tokio::time::timeout(SOON, store.failed()).await });
    let why = why.expect("it was noticed");
    assert!(why.contains("as if a backup had taken its place"), "{why}");
    assert!(!store.is_healthy());
    let refused = wait(store.barrier().unwrap());
    assert!(refused.is_err(), "and nothing is served as if it were so");
    // A new start begins with what is there.
    drop(store);
    let again = open(&etcd.peer, "/registry");
    assert_eq!(again.count(&configmaps()), 0);
    wait(again.write(put(("a", "o1"), Expect::Absent, "1"))).unwrap();
}

/// A server that has seen all up to a revision, and is then cut off: its watch is not begun again.
struct CutOff {
    core: Arc<Core>,
    runtime: tokio::runtime::Runtime,
}

impl CutOff {
    fn at(peer: &Peer, revision: u64) -> Self {
        let core = Arc::new(Core::new(settings(peer, "/registry")).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let seen = runtime.block_on(async {
            load::open(&core).await.unwrap();
            let follow = tokio::spawn(feed::follow(Arc::clone(&core)));
            let seen = core.wait(revision, SOON).await;
            follow.abort();
            seen
        });
        assert!(seen);
        Self { core, runtime }
    }

    /// What it would find out before its next watch.
    fn missing(&self) -> Option<String> {
        self.runtime.block_on(landmark::missing(&self.core)).unwrap()
    }

    /// The watch is begun again, and ends the server.
    fn ends(&self) {
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(SOON, feed::follow(Arc::clone(&self.core)))
                .await
                .is_ok()
        });
        assert!(ended && self.core.failed.borrow().is_some());
    }
}

#[test]
fn a_server_ends_when_revisions_are_those_of_other_changes() {
    let Some(mut etcd) = Copied::new() else { return };
    let writer = open(&etcd.peer, "/registry");
    let mut newest = 0;
    for number in 0..5 {
        let done = wait(writer.write(put(("a", &format!("o{number}")), Expect::Absent, "1")));
        newest = done.unwrap().resource_version;
    }
    drop(writer);
    let server = CutOff::at(&etcd.peer, newest);
    assert_eq!(server.missing(), None);
    // A compaction alone makes nobody suspicious.
    etcd.peer.ctl(&["put", "/registry/other", "1"]);
    etcd.peer.ctl(&["compaction", &(newest + 1).to_string()]);
    assert_eq!(server.missing(), None);
    etcd.replace();
    // Until it comes back, the backup is past where it was.
    for number in 0..20 {
        etcd.peer
            .ctl(&["put", "/registry/configmaps/a/o4", &number.to_string()]);
    }
    let why = server.missing().expect("another change has that revision");
    assert!(why.contains("/registry/configmaps/a/o4 was another one"), "{why}");
    server.ends();
}

#[test]
fn a_server_ends_when_a_deletion_that_it_has_seen_is_undone() {
    let Some(mut etcd) = Copied::new() else { return };
    let deleted = etcd
        .peer
        .ctl(&["del", "/registry/configmaps/a/old", "--write-out", "json"]);
    let deleted: serde_json::Value = serde_json::from_str(&deleted).unwrap();
    let newest = deleted["header"]["revision"].as_u64().unwrap();
    let server = CutOff::at(&etcd.peer, newest);
    assert_eq!(server.missing(), None);
    // Neither other changes nor a compaction make anybody suspicious.
    etcd.peer.ctl(&["put", "/registry/other", "1"]);
    etcd.peer.ctl(&["compaction", &(newest + 1).to_string()]);
    assert_eq!(server.missing(), None);
    etcd.replace();
    for number in 0..20 {
        etcd.peer.ctl(&["put", "/registry/other", &number.to_string()]);
    }
    let is_told = || {
        let why = server.missing().expect("it is still there at that revision");
        assert!(
            why.contains("/registry/configmaps/a/old was another one"),
            "{why}"
        );
    };
    is_told();
    // What was before the deletion need not be there for that.
    etcd.peer.ctl(&["compaction", &newest.to_string()]);
    is_told();
    server.ends();
}

/// The watch is what notices a backup, and a write may be faster.
#[test]
fn a_write_that_meets_an_older_state_is_not_acknowledged() {
    let Some(mut etcd) = Copied::new() else { return };
    let writer = open(&etcd.peer, "/registry");
    let mut newest = 0;
    for number in 0..5 {
        let done = wait(writer.write(put(("a", &format!("o{number}")), Expect::Absent, "1")));
        newest = done.unwrap().resource_version;
    }
    drop(writer);
    let writes = [
        put(("a", "new"), Expect::Absent, "2"),
        put(("a", "o4"), Expect::Revision(newest), "2"),
    ]
    .map(|write| (CutOff::at(&etcd.peer, newest), write));
    etcd.replace();
    for (CutOff { core, runtime }, write) in writes {
        // Its connection was to the process that is gone.
        runtime.block_on(barrier::current(&core)).unwrap();
        let done = runtime.block_on(write::run(&core, write.clone(), None));
        assert!(matches!(done, Err(StoreError::Failed(_))), "{write:?}: {done:?}");
        let why = core.failed.borrow().clone().expect("and the server ends");
        assert!(why.contains("as if a backup had taken its place"), "{why}");
    }
}
