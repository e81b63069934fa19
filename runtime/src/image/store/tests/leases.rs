//! What containers use stays, whoever removes or collects.

use super::*;
use crate::image::{Collect, hold_layers};

/// A store with an image, and a container's directory that holds its layers.
fn with_container(place: &Place) -> (Image, PathBuf) {
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    let image = place.store.import(&layout.0, "shell").unwrap();
    let container = place.path("0123456789abcdef0123");
    fs::create_dir(&container).unwrap();
    hold_layers(&image.layers, &container).unwrap();
    (image, container)
}

#[test]
fn an_image_in_use_is_removed_by_force_only_and_its_layers_stay() {
    let place = Place::new();
    let (image, container) = with_container(&place);
    place.store.tag("shell", "second").unwrap();
    // One name of two may go.
    let removed = place.store.remove("second").unwrap();
    assert_eq!(removed.names, ["docker.io/library/second:latest"]);
    assert_eq!(removed.image, None);
    for reference in ["shell", &image.id, &image.id[7..20]] {
        let error = place.store.remove(reference).unwrap_err();
        assert!(
            matches!(&error, Error::InUse { by, .. } if by.len() == 1),
            "{error}"
        );
        assert!(error.to_string().contains("container 0123456789ab "), "{error}");
    }
    assert_eq!(place.store.inspect("shell").unwrap().unwrap().used_by.len(), 1);
    let removed = place.store.remove_by_force("shell").unwrap();
    assert_eq!(removed.image.as_deref(), Some(image.id.as_str()));
    assert!(place.store.list().unwrap().is_empty());
    // Neither another process nor a collection takes the layers away.
    ImageStore::open(&place.store.root).unwrap();
    place.store.collect(Collect::Unused, false).unwrap();
    assert_eq!(fs::read(image.layers[0].join("bin/sh")).unwrap(), b"shell");
    // The end of the container is the end of the lease.
    fs::remove_dir(&container).unwrap();
    let collected = place.store.collect(Collect::Unreferenced, false).unwrap();
    assert!(collected.files >= 2 && collected.bytes > 0, "{collected:?}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert_eq!(fs::read_dir(place.store.root.join("leases")).unwrap().count(), 0);
}

#[test]
fn layers_that_are_gone_cannot_be_held() {
    let place = Place::new();
    let (image, container) = with_container(&place);
    fs::remove_dir(container).unwrap();
    place.store.remove("shell").unwrap();
    let container = place.path("late");
    fs::create_dir(&container).unwrap();
    assert!(matches!(
        hold_layers(&image.layers, &container),
        Err(Error::NotFound(_))
    ));
    // Directories of nobody are nobody's.
    hold_layers(&[place.path("bundle/rootfs")], &container).unwrap();
}

#[test]
fn a_lease_cut_short_counts_nothing() {
    let place = Place::new();
    let (_, container) = with_container(&place);
    let leases = place.store.root.join("leases");
    for text in ["", "{", "{\"holder\": 5}", "[]"] {
        fs::write(leases.join("half"), text).unwrap();
        place.store.collect(Collect::Unreferenced, false).unwrap();
        assert!(!leases.join("half").exists(), "{text}");
    }
    assert!(container.exists() && fs::read_dir(leases).unwrap().count() == 1);
}

#[test]
fn collections_take_what_they_say() {
    let place = Place::new();
    let layout = place.layout();
    // An image that lost its name, one with a name, one in use.
    layout.index(&json!([layout.image(&[&base()], gzip)]));
    let dangling = place.store.import(&layout.0, "shell").unwrap();
    let (used, container) = with_container(&place);
    let other = Tar::default().file("other", b"o").end();
    layout.index(&json!([layout.image(&[&other], gzip)]));
    let named = place.store.import(&layout.0, "named").unwrap();
    fs::write(place.store.blobs().join("rubbish"), [1; 10_000]).unwrap();

    let counted = place.store.collect(Collect::Unused, true).unwrap();
    assert_eq!(counted.images.len(), 2, "{counted:?}");
    assert!(counted.bytes > 10_000);
    assert_eq!(place.store.list().unwrap().len(), 3, "only counted");

    let collected = place.store.collect(Collect::Unreferenced, false).unwrap();
    assert!(
        collected.images.is_empty() && collected.bytes >= 10_000,
        "{collected:?}"
    );
    let collected = place.store.collect(Collect::Dangling, false).unwrap();
    assert_eq!(collected.images, [dangling.id]);
    assert!(
        used.layers.iter().all(|layer| layer.is_dir()),
        "the lower layer is shared"
    );
    let collected = place.store.collect(Collect::Unused, false).unwrap();
    assert_eq!(collected.images, [named.id]);
    fs::remove_dir(container).unwrap();
    place.store.collect(Collect::Unused, false).unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
}

/// Imports, removals, collections and containers that start, all at once: what a container holds is there until it ends.
#[test]
fn nothing_that_is_held_goes_while_others_remove() {
    let place = Place::new();
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    let working = std::sync::atomic::AtomicUsize::new(2);
    std::thread::scope(|scope| {
        let (place, layout, working) = (&place, &layout, &working);
        for _ in 0..2 {
            scope.spawn(move || {
                let store = ImageStore::open(&place.store.root).unwrap();
                for _ in 0..40 {
                    store.import(&layout.0, "shell").unwrap();
                    match store.remove_by_force("shell") {
                        Ok(_) | Err(Error::NotFound(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                    store.collect(Collect::Unused, false).unwrap();
                }
                working.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
        scope.spawn(move || {
            let (mut held, mut round) = (0, 0);
            while working.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                round += 1;
                let Some(image) = place.store.get("shell").unwrap() else {
                    continue;
                };
                let container = place.path(&format!("container{round}"));
                fs::create_dir(&container).unwrap();
                match hold_layers(&image.layers, &container) {
                    Ok(()) => {
                        held += 1;
                        for _ in 0..20 {
                            assert_eq!(fs::read(image.layers[0].join("bin/sh")).unwrap(), b"shell");
                            assert_eq!(fs::read(image.layers[1].join("etc/motd")).unwrap(), b"hello");
                        }
                    }
                    Err(Error::NotFound(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                fs::remove_dir(&container).unwrap();
            }
            eprintln!("held {held} of {round} times");
            assert!(held > 0);
        });
    });
    place.store.collect(Collect::Unused, false).unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
}
