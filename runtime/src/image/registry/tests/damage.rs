//! Blobs that are damaged in the store, and pulls that are killed.

use super::breaks::{Answer, Breaking, cutting, pull};
use super::*;
use crate::image::FaultKind;

#[test]
fn a_damaged_blob_is_fetched_again_from_where_it_came() {
    let (place, breaking) = (store(), Breaking::new(|_, layer| Answer::whole(layer)));
    let image = pull(&place, &breaking).unwrap();
    let blobs: Vec<_> = std::fs::read_dir(place.store_root().join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(blobs.len(), 3);
    let access = |repository: &str| {
        assert!(repository.ends_with("/team/noise"), "{repository}");
        Ok(Access::default())
    };
    for path in &blobs {
        for damage in [&b"damaged"[..], b""] {
            if damage.is_empty() {
                std::fs::remove_file(path).unwrap();
            } else {
                std::fs::write(path, damage).unwrap();
            }
            let faults = place.store.check(Some(&access)).unwrap();
            assert_eq!(faults.len(), 1, "{faults:?}");
            let kind = if damage.is_empty() {
                FaultKind::Missing
            } else {
                FaultKind::Damaged
            };
            assert_eq!((faults[0].kind, &faults[0].repaired), (kind, &Some(Ok(()))));
            assert!(place.store.check(None).unwrap().is_empty());
        }
    }
    // All at once, the unpacked layer too; a pull does it as well.
    for round in 0..2 {
        for path in &blobs {
            std::fs::write(path, "x").unwrap();
        }
        std::fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
        if round == 0 {
            let faults = place.store.check(Some(&access)).unwrap();
            assert_eq!(faults.len(), 4);
            assert!(
                faults.iter().all(|fault| fault.repaired == Some(Ok(()))),
                "{faults:?}"
            );
        } else {
            pull(&place, &breaking).unwrap();
        }
        assert!(place.store.check(None).unwrap().is_empty());
        assert!(image.layers[0].join("noise").is_file());
    }
    // The registry is gone: the answer says what to do.
    std::fs::write(&blobs[0], "x").unwrap();
    breaking.answer_with(|_, _| Answer::status("404 Not Found"));
    let faults = place
        .store
        .check(Some(&|_| Err(Error::Invalid("no such registry".into()))))
        .unwrap();
    let Some(Err(advice)) = &faults[0].repaired else {
        panic!("{faults:?}");
    };
    assert!(
        advice.contains("no such registry") && advice.contains("import"),
        "{advice}"
    );
}

/// Layers that are in the store are not fetched, unless they are damaged and still to be unpacked.
#[test]
fn a_damaged_blob_does_not_count_as_present() {
    let (place, breaking) = (store(), Breaking::new(|_, layer| Answer::whole(layer)));
    let image = pull(&place, &breaking).unwrap();
    breaking.answer_with(|_, layer| Answer::whole(layer));
    pull(&place, &breaking).unwrap();
    assert!(breaking.offsets().is_empty());
    let blob = place
        .store_root()
        .join("blobs/sha256")
        .join(Digest::of(&breaking.layer).hex());
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    std::fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
    pull(&place, &breaking).unwrap();
    assert_eq!(breaking.offsets().len(), 1);
    assert!(place.store.check(None).unwrap().is_empty());
}

/// A child of the next test: pulls and removes until it is killed.
#[test]
#[ignore = "run by a_killed_pull_leaves_a_whole_store"]
fn child_that_pulls() {
    let root = std::env::var_os("KEELSON_IMAGE_TEST").unwrap();
    let name = std::env::var("KEELSON_IMAGE_NAME").unwrap();
    let store = ImageStore::open(std::path::Path::new(&root)).unwrap();
    loop {
        store.pull(&name, &PullOptions::default()).unwrap();
        store.remove(&name).unwrap();
    }
}

#[test]
fn a_killed_pull_leaves_a_whole_store() {
    let (place, breaking) = (store(), Breaking::new(cutting(700_000)));
    let mut resumed = 0;
    for round in 0..12u64 {
        breaking.asks.lock().unwrap().clear();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "image::registry::tests::damage::child_that_pulls",
                "--ignored",
            ])
            .env("KEELSON_IMAGE_TEST", place.store_root())
            .env("KEELSON_IMAGE_NAME", breaking.name())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // From its first request for the layer on, a different moment each time.
        let start = Instant::now();
        while breaking.asks.lock().unwrap().is_empty() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(
            !breaking.asks.lock().unwrap().is_empty(),
            "the child never pulled"
        );
        std::thread::sleep(Duration::from_micros(round * 7_919 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        resumed += usize::from(
            breaking
                .asks
                .lock()
                .unwrap()
                .first()
                .is_some_and(|ask| ask.from.is_some()),
        );
        for image in place.store.list().unwrap() {
            assert_eq!(
                std::fs::metadata(image.layers[0].join("noise")).unwrap().len(),
                3_000_000
            );
        }
        let store = ImageStore::open(place.store_root()).unwrap();
        assert_eq!(
            std::fs::read_dir(place.store_root().join("tmp")).unwrap().count(),
            0
        );
        assert!(store.check(None).unwrap().is_empty());
    }
    eprintln!("{resumed} of 12 went on with what a killed one left");
    pull(&place, &breaking).unwrap();
    place.store.collect(crate::image::Collect::Unused, false).unwrap();
    for directory in ["tmp", "partial", "layers", "blobs/sha256"] {
        let left = std::fs::read_dir(place.store_root().join(directory))
            .unwrap()
            .count();
        assert_eq!(left, 0, "{directory}");
    }
}
