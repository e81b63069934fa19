//! What is pushed is what is pulled.

use std::fs;
use std::process::Command;

use keelson_runtime::image::{Access, Archive, Collect, Error, FaultKind, PullOptions};

use crate::server::{Registry, Store, Wants, bundle, docker_archive};

/// The digest is the same for who imported the image, who pulls it and who looks with other programs, whatever it was
/// imported from.
#[test]
fn digests_are_the_same_on_both_sides() {
    let registry = Registry::start(&Wants::default());
    let here = Store::new();
    bundle(&here.path("bundle"), "shell");
    docker_archive(&here.path("archive.tar"), 5);
    for (source, name) in [("bundle", "from-bundle:1"), ("archive.tar", "from-archive:1")] {
        let image = here.store.import(&here.path(source), name).unwrap();
        let details = here.store.inspect(name).unwrap().unwrap();
        let remote = registry.name(&format!("team/{name}"));
        let digest = here.store.push(name, Some(&remote), &Access::default()).unwrap();
        assert_eq!(digest.to_string(), details.manifest);
        // Once more: nothing is sent, and the answer is the same.
        let before = registry.blobs().len();
        assert_eq!(
            here.store.push(name, Some(&remote), &Access::default()).unwrap(),
            digest
        );
        assert_eq!(registry.blobs().len(), before);

        let there = Store::new();
        let pulled = there.store.pull(&remote, &PullOptions::default()).unwrap();
        assert_eq!(pulled.id, image.id);
        let repository = remote.rsplit_once(':').unwrap().0;
        assert_eq!(pulled.digests, [format!("{repository}@{digest}")]);
        assert_eq!(pulled.layers.len(), image.layers.len());
        let by_digest = there
            .store
            .pull(&pulled.digests[0], &PullOptions::default())
            .unwrap();
        assert_eq!(by_digest.id, image.id);
        // Out through an archive and back to the registry under another name: still the same.
        let archive = there.path("out.tar");
        there
            .store
            .export(
                std::slice::from_ref(&remote),
                Archive::Oci,
                fs::File::create(&archive).unwrap(),
            )
            .unwrap();
        let third = Store::new();
        third.store.import(&archive, "again").unwrap();
        let again = third
            .store
            .push("again", Some(&registry.name("other/place:2")), &Access::default())
            .unwrap();
        assert_eq!(again, digest);
        skopeo_agrees(&remote, &digest.to_string());
    }
}

/// Another client sees the same digest, where one is installed.
fn skopeo_agrees(name: &str, digest: &str) {
    let output = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
        .arg(format!("docker://{name}"))
        .output();
    match output {
        Ok(output) => assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            digest,
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(_) => eprintln!("skopeo is not installed: not compared with another client"),
    }
}

/// Tags of one image, tags that move, images without a tag.
#[test]
fn tags_move_and_digests_stay() {
    let registry = Registry::start(&Wants::default());
    let here = Store::new();
    bundle(&here.path("one"), "one");
    bundle(&here.path("two"), "two");
    let one = here.store.import(&here.path("one"), "app:1").unwrap();
    let name = registry.name("app:latest");
    let first = here.store.push("app:1", Some(&name), &Access::default()).unwrap();
    let there = Store::new();
    there.store.pull(&name, &PullOptions::default()).unwrap();
    here.store.import(&here.path("two"), "app:1").unwrap();
    let second = here.store.push("app:1", Some(&name), &Access::default()).unwrap();
    assert_ne!(first, second);
    let pulled = there.store.pull(&name, &PullOptions::default()).unwrap();
    assert_ne!(pulled.id, one.id);
    // The first has lost its name, not its digest, and can still be had by that.
    let by_digest = format!("{}@{first}", registry.name("app"));
    let old = there.store.get(&by_digest).unwrap().unwrap();
    assert_eq!((old.id.as_str(), old.tags.len()), (one.id.as_str(), 0));
    let collected = there.store.collect(Collect::Dangling, false).unwrap();
    assert_eq!(collected.images, std::slice::from_ref(&one.id));
    assert!(there.store.get(&by_digest).unwrap().is_none());
    assert_eq!(
        there.store.pull(&by_digest, &PullOptions::default()).unwrap().id,
        one.id
    );
}

#[test]
fn damage_in_the_store_and_in_the_registry() {
    let registry = Registry::start(&Wants::default());
    let here = Store::new();
    docker_archive(&here.path("archive.tar"), 3);
    here.store.import(&here.path("archive.tar"), "several:1").unwrap();
    let layer = &here.store.inspect("several:1").unwrap().unwrap().layers[1];
    let blob = here.path("store/blobs/sha256").join(&layer.digest[7..]);
    let whole = fs::read(&blob).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&blob, &damaged).unwrap();
    // A damaged blob is not pushed, and the error says what to do.
    let name = registry.name("several:1");
    let error = here
        .store
        .push("several:1", Some(&name), &Access::default())
        .unwrap_err();
    assert!(matches!(&error, Error::Push { .. }), "{error}");
    assert!(error.to_string().contains("check --repair"), "{error}");
    fs::write(&blob, &whole).unwrap();
    here.store
        .push("several:1", Some(&name), &Access::default())
        .unwrap();
    // It is fetched again from where it was pushed to.
    fs::write(&blob, &damaged).unwrap();
    let faults = here.store.check(Some(&|_| Ok(Access::default()))).unwrap();
    assert_eq!((faults.len(), faults[0].kind), (1, FaultKind::Damaged));
    assert_eq!(faults[0].repaired, Some(Ok(())));
    assert_eq!(fs::read(&blob).unwrap(), whole);
    // The registry's own copy is damaged: refused, and said so.
    let theirs = registry
        .blobs()
        .into_iter()
        .find(|path| fs::read(path).unwrap() == whole)
        .unwrap();
    fs::write(theirs, &damaged).unwrap();
    let there = Store::new();
    let error = there
        .store
        .pull(&name, &PullOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&layer.digest), "{error}");
    assert!(there.store.list().unwrap().is_empty());
}
