//! Mount targets swapped for symlinks while they are mounted on (CVE-2021-30465, 2024-45310): two containers share a
//! volume, and one of them swaps.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use keelson_runtime::node::*;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::bundle::Bundle;
use crate::payload;
use crate::runtimes::{Runtime, attack};
use crate::support::{Node, volume};
use crate::witness::{SECRET, Treasure, time_box};

/// Most tries in the time that is given.
const TRIES: usize = 10_000;
/// Mounts below the swapped name in one container: each is a try.
const MOUNTS: usize = 40;

/// A volume with a directory `a` and a symlink `b` to the treasure, to be swapped.
fn trap(shared: &Path, target: impl AsRef<Path>) {
    fs::create_dir_all(shared.join("a")).unwrap();
    symlink(target, shared.join("b")).unwrap();
}

/// Swaps in a thread while `tries` runs.
pub fn while_swapping(a: &Path, b: &Path, tries: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let c = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (a, b, stop) = (c(a), c(b), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop); // also when a try panics
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat2(
                    AT_FDCWD,
                    a.as_c_str(),
                    AT_FDCWD,
                    b.as_c_str(),
                    RenameFlags::RENAME_EXCHANGE,
                );
            }
        });
        tries();
    });
}

/// One container swaps in the shared volume, others are started with mounts below the name that is swapped.
fn of_mount_targets(runtime: &Runtime) {
    let Some(swapper) = payload::compile("swapper") else {
        return;
    };
    let time = time_box(6);
    let seconds = (time.as_secs() + 15).to_string();
    for climb in [false, true] {
        let mut attacker = Bundle::new(runtime, &["/swapper", "/shared/a", "/shared/b", &seconds]);
        attacker.install(&swapper, "swapper");
        let shared = attacker.path("shared");
        let treasure = &attacker.treasure;
        if climb {
            trap(&shared, treasure.climbing());
        } else {
            trap(&shared, &treasure.path);
        }
        attacker.bind(&shared, "/shared");
        let mut victim = Bundle::shell(runtime, "echo STARTED; cat /shared/*/witness /shared/*/*/witness");
        let other = victim.path("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), "").unwrap();
        victim.bind(&shared, "/shared");
        for n in 0..MOUNTS / 2 {
            victim.bind(&other, &format!("/shared/a/made/{n}"));
            victim.bind(&other.join("file"), &format!("/shared/a/new-file-{n}"));
        }
        victim.mount("/shared/a/deep/tmp", "tmpfs", "tmpfs", &[]);
        victim.write_config();
        assert!(attacker.start().ok());
        attacker.wait_for("SWAPPING");
        let (begin, mut tries, mut started) = (Instant::now(), 0, 0);
        while begin.elapsed() < time / 2 && tries < TRIES {
            let outcome = victim.run();
            tries += MOUNTS;
            started += usize::from(outcome.text.contains("STARTED"));
            assert!(
                !outcome.text.contains(SECRET),
                "try {tries}: the host is visible: {}",
                outcome.text
            );
            if let Some(damage) = attacker.treasure.damage() {
                panic!("try {tries}: {damage}");
            }
        }
        println!("{tries} mounts tried, {started} containers started; climbing symlink: {climb}");
        assert!(tries > MOUNTS);
    }
}
attack!(of_mount_targets);

/// A runtime that makes its targets by their names loses the race soon.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let treasure = Treasure::in_directory(place.path());
    let shared = place.path().join("shared");
    trap(&shared, &treasure.path);
    let mut tries = 0;
    while_swapping(&shared.join("a"), &shared.join("b"), || {
        while treasure.damage().is_none() && tries < TRIES {
            let _ = fs::create_dir_all(shared.join("a/made/here"));
            tries += 1;
        }
    });
    println!("lost after {tries} tries");
    assert!(treasure.damage().is_some(), "the swapper does not swap");
}

/// A pod's containers.
#[test]
fn of_a_pods_mount_targets() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    let (shared, other) = (
        node.directory.path().join("shared"),
        node.directory.path().join("other"),
    );
    trap(&shared, &treasure.path);
    fs::create_dir_all(&other).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let (begin, time) = (Instant::now(), time_box(5));
    while_swapping(&shared.join("a"), &shared.join("b"), || {
        let mut tries = 0;
        while begin.elapsed() < time && tries < TRIES {
            let spec = ContainerSpec {
                mounts: vec![volume(&shared, "/shared"), volume(&other, "/shared/a/made/here")],
                ..node.shell("cat /shared/*/witness")
            };
            if node.runtime.create_container("pod", &spec).is_ok()
                && node.runtime.start_container(&spec.id).is_ok()
            {
                node.wait(&spec.id);
                assert!(!Node::log(&spec).contains(SECRET));
            }
            node.runtime.remove_container(&spec.id).unwrap();
            tries += 1;
        }
        println!("{tries} tries");
    });
    treasure.check("swaps");
}
