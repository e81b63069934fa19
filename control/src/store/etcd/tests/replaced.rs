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
    // One that has seen all that, and was then cut off; until it comes back, the backup is past where it was.
    let core = Arc::new(Core::new(settings(&etcd.peer, "/registry")).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(load::open(&core)).unwrap();
    core.seen.send_replace(newest);
    let missing = || runtime.block_on(landmark::missing(&core)).unwrap();
    *core.landmark() = {
        let request = proto::RangeRequest {
            key: b"/registry/configmaps/a/o4".to_vec(),
            ..proto::RangeRequest::default()
        };
        let pair = runtime
            .block_on(core.client.range(request))
            .unwrap()
            .kvs
            .remove(0);
        Some(landmark::Landmark::of(&pair))
    };
    assert_eq!(missing(), None);
    // A compaction alone makes nobody suspicious.
    etcd.peer.ctl(&["put", "/registry/other", "1"]);
    etcd.peer.ctl(&["compaction", &(newest + 1).to_string()]);
    assert_eq!(missing(), None);
    etcd.replace();
    for number in 0..20 {
        etcd.peer
            .ctl(&["put", "/registry/configmaps/a/o4", &number.to_string()]);
    }
    let why = missing().expect("another change has that revision");
    assert!(why.contains("/registry/configmaps/a/o4 was another one"), "{why}");
    let ended = runtime.block_on(async {
        tokio::time::timeout(SOON, feed::follow(Arc::clone(&core)))
            .await
            .is_ok()
    });
    assert!(ended && core.failed.borrow().is_some());
}
