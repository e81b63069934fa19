//! Damage is found by its digest. (Fetching again is tested with a registry.)

use super::*;
use crate::image::{Fault, FaultKind};

fn image(place: &Place) -> Image {
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    place.store.import(&layout.0, "shell").unwrap()
}

/// One damaged byte in the middle, same length.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn kinds(faults: &[Fault]) -> Vec<FaultKind> {
    faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn every_damaged_blob_is_found() {
    let place = Place::new();
    let found = image(&place);
    assert!(place.store.check(None).unwrap().is_empty());
    let blobs: Vec<PathBuf> = fs::read_dir(place.store.blobs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(blobs.len(), 4, "manifest, configuration, two layers");
    for path in &blobs {
        let original = fs::read(path).unwrap();
        damage(path);
        let faults = place.store.check(None).unwrap();
        assert_eq!(kinds(&faults), [FaultKind::Damaged]);
        assert_eq!(
            faults[0].digest[7..],
            *path.file_name().unwrap().to_str().unwrap()
        );
        assert_eq!(faults[0].image, "docker.io/library/shell:latest");
        assert!(faults[0].repaired.is_none());
        fs::remove_file(path).unwrap();
        assert_eq!(kinds(&place.store.check(None).unwrap()), [FaultKind::Missing]);
        // No registry has had it: the answer says what helps.
        let faults = place.store.check(Some(&|_| unreachable!())).unwrap();
        let Some(Err(advice)) = &faults[0].repaired else {
            panic!("{faults:?}");
        };
        assert!(
            advice.contains("import docker.io/library/shell:latest again"),
            "{advice}"
        );
        fs::write(path, original).unwrap();
    }
    // A layer that is not unpacked is unpacked from its blob, without any registry.
    fs::remove_dir_all(found.layers[1].parent().unwrap()).unwrap();
    assert!(
        place.store.get("shell").unwrap().is_none(),
        "it cannot be run as it is"
    );
    assert_eq!(kinds(&place.store.check(None).unwrap()), [FaultKind::NotUnpacked]);
    let faults = place.store.check(Some(&|_| unreachable!())).unwrap();
    assert_eq!(faults[0].repaired, Some(Ok(())));
    let again = place.store.get("shell").unwrap().unwrap();
    assert_eq!(fs::read(again.layers[1].join("etc/motd")).unwrap(), b"hello");
    assert_eq!(again.tags, found.tags);
}

/// Damage is seen where blobs are used, too, and importing the image again heals it.
#[test]
fn damaged_blobs_are_not_used() {
    let place = Place::new();
    let found = image(&place);
    let details = place.store.inspect("shell").unwrap().unwrap();
    let blob = |digest: &str| place.store.blob(digest.parse().unwrap());
    damage(&blob(&details.layers[0].digest));
    let error = place
        .store
        .export(&["shell".into()], Archive::Oci, std::io::sink());
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { digest, .. } if digest.to_string() == details.layers[0].digest)
    );
    assert!(error.to_string().contains("check --repair"), "{error}");
    damage(&blob(&found.id));
    assert!(place.store.get("shell").unwrap().is_none());
    assert!(matches!(place.store.inspect("shell"), Err(Error::Damaged { .. })));
    place.store.import(&place.path("layout"), "shell").unwrap();
    assert!(place.store.check(None).unwrap().is_empty());
    assert_eq!(place.store.get("shell").unwrap().unwrap().id, found.id);
}
