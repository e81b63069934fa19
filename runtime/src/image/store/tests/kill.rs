//! kill -9 at any moment leaves a store that is whole.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::image::Collect;

type Work = fn(&ImageStore, &Path, u64);

/// Work that is killed: a name for the child, and what it does over and over.
const WORK: [(&str, Work); 4] = [
    ("import and remove", |store, layout, round| {
        store.import(layout, &format!("image:{}", round % 3)).unwrap();
        store.remove(&format!("image:{}", round % 3)).unwrap();
    }),
    ("names that move", |store, layout, round| {
        store.import(layout, "image:0").unwrap();
        store.tag("image:0", &format!("image:{}", round % 3)).unwrap();
        store.remove_by_force(&format!("image:{}", round % 3)).unwrap();
    }),
    ("collections", |store, layout, round| {
        store.import(layout, &format!("image:{}", round % 3)).unwrap();
        store.collect(Collect::Unused, false).unwrap();
    }),
    ("repairs", |store, layout, _| {
        let image = store.import(layout, "image:0").unwrap();
        // Gone at once: half a layer would be the doing of this test.
        let aside = layout.parent().unwrap().join("aside");
        let _ = fs::remove_dir_all(&aside);
        fs::rename(image.layers[1].parent().unwrap(), aside).unwrap();
        store.check(Some(&|_| unreachable!())).unwrap();
    }),
];

/// A child of the next test: works until it is killed.
#[test]
#[ignore = "run by a_kill_at_any_moment_leaves_a_whole_store"]
fn child_that_is_killed() {
    let directory = PathBuf::from(std::env::var_os("KEELSON_IMAGE_TEST").unwrap());
    let what = std::env::var("KEELSON_IMAGE_WORK").unwrap();
    let (_, work) = WORK.iter().find(|(name, _)| *name == what).unwrap();
    let store = ImageStore::open(&directory.join("store")).unwrap();
    println!("ready");
    for round in 0.. {
        work(&store, &directory.join("layout"), round);
        if round == 0 {
            println!("cycle");
        }
    }
}

fn start(place: &Place, what: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "image::store::tests::kill::child_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("KEELSON_IMAGE_TEST", place.directory.path())
        .env("KEELSON_IMAGE_WORK", what)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Half of them are killed in their first cycle, the others later: then there are images that must be whole.
    let wait_for = match what {
        "names that move" | "repairs" => "cycle",
        _ => "ready",
    };
    let mut said = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !said.contains(wait_for) {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    }
    child
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_store() {
    let place = Place::new();
    let layout = place.layout();
    let many = (0..200)
        .fold(Tar::default(), |tar, n| tar.file(&format!("d{n}/f"), &[1; 2000]))
        .end();
    layout.index(&json!([layout.image(&[&base(), &many, &top()], gzip)]));
    let mut images_seen = 0;
    for round in 0..20u64 {
        let (what, _) = WORK[(round % 4) as usize];
        let mut child = start(&place, what);
        // Anywhere in a cycle of some tens of milliseconds, a different place each time.
        std::thread::sleep(Duration::from_micros(2_000 + round * 37_919 % 300_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What is visible is whole, before and after the next process cleans up.
        for image in place.store.list().unwrap() {
            images_seen += 1;
            assert_eq!(image.layers.len(), 3, "{what}");
            assert_eq!(fs::read_dir(&image.layers[1]).unwrap().count(), 200, "{what}");
            assert_eq!(fs::read(image.layers[2].join("etc/motd")).unwrap(), b"hello");
        }
        let store = ImageStore::open(&place.store.root).unwrap();
        assert_eq!(fs::read_dir(store.temporary()).unwrap().count(), 0, "{what}");
        let index = Index::load(&store.root).unwrap();
        let blobs: usize = fs::read_dir(store.blobs()).unwrap().count();
        assert_eq!(blobs, index.blobs().len(), "{what}");
        let layers: usize = fs::read_dir(store.layers()).unwrap().count();
        // The child that repairs removes a layer itself.
        assert!(layers == index.layers().len() || what == "repairs", "{what}");
        for fault in store.check(Some(&|_| unreachable!())).unwrap() {
            assert_eq!(fault.repaired, Some(Ok(())), "{what}: {fault:?}");
            assert_eq!(what, "repairs", "{fault:?}");
        }
        store.import(&layout.0, "after").unwrap();
        store.remove("after").unwrap();
    }
    eprintln!("{images_seen} images seen after 20 kills");
    assert!(images_seen > 0);
    // A new process drops the leases of the dead.
    place.store.collect(Collect::Unused, false).unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
    let leases = fs::read_dir(place.store.root.join("leases")).map_or(0, Iterator::count);
    assert_eq!(leases, 0);
}
