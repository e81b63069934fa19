//! Images and other inputs that are not what they say.

use super::*;

/// Every one of these is refused and leaves nothing behind.
#[test]
fn hostile_images_are_refused() {
    let (base, top) = (base(), top());
    let image = |layout: &Layout| layout.image(&[&base], gzip);
    let with_manifest = |layout: &Layout, manifest: Value| {
        let bytes = manifest.to_string();
        layout.index(&json!([layout.blob("", bytes.as_bytes())]));
    };
    let good = |layout: &Layout| {
        let config = layout.blob("", fixture::config(&[&base]).to_string().as_bytes());
        json!({"schemaVersion": 2, "config": config, "layers": [layout.blob("", &base)]})
    };
    let cases: Vec<(&str, Make)> = vec![
        ("no image", Box::new(|layout| layout.index(&json!([])))),
        (
            "not json",
            Box::new(|layout| fs::write(layout.0.join("index.json"), "{").unwrap()),
        ),
        (
            "oversized index",
            Box::new(|layout| fs::write(layout.0.join("index.json"), vec![b' '; 5 << 20]).unwrap()),
        ),
        (
            "digest that is a path",
            Box::new(|layout| {
                layout.index(&json!([{"mediaType": "", "digest": "sha256:../../../etc/passwd", "size": 1}]));
            }),
        ),
        (
            "missing blob",
            Box::new(|layout| layout.index(&json!([fixture::descriptor("", b"absent")]))),
        ),
        (
            "wrong size",
            Box::new(|layout| {
                let mut image = image(layout);
                image["size"] = json!(1);
                layout.index(&json!([image]));
            }),
        ),
        (
            "wrong digest of a layer",
            Box::new(|layout| {
                let manifest = good(layout);
                let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
                fs::write(layout.0.join("blobs/sha256").join(&digest[7..]), &top).unwrap();
                with_manifest(layout, manifest);
            }),
        ),
        (
            "wrong diffID",
            Box::new(|layout| {
                let mut manifest = good(layout);
                manifest["layers"] = json!([layout.blob("", &top)]);
                with_manifest(layout, manifest);
            }),
        ),
        (
            "more layers than diffIDs",
            Box::new(|layout| {
                let mut manifest = good(layout);
                manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]);
                with_manifest(layout, manifest);
            }),
        ),
        (
            "manifests and layers",
            Box::new(|layout| {
                let mut manifest = good(layout);
                manifest["manifests"] = json!([]);
                with_manifest(layout, manifest);
            }),
        ),
        (
            "other platform",
            Box::new(|layout| {
                let mut config = fixture::config(&[&base]);
                config["architecture"] = json!("s390x");
                let mut manifest = good(layout);
                manifest["config"] = layout.blob("", config.to_string().as_bytes());
                with_manifest(layout, manifest);
            }),
        ),
        (
            "deep indexes",
            Box::new(|layout| {
                let mut image = image(layout);
                for _ in 0..6 {
                    let index = json!({"schemaVersion": 2, "manifests": [image]});
                    image = layout.blob(
                        "application/vnd.oci.image.index.v1+json",
                        index.to_string().as_bytes(),
                    );
                }
                layout.index(&json!([image]));
            }),
        ),
        (
            "oversized configuration",
            Box::new(|layout| {
                let mut manifest = good(layout);
                manifest["config"] = layout.blob("", &vec![b' '; 5 << 20]);
                with_manifest(layout, manifest);
            }),
        ),
        (
            "layer that is a symlink to the host",
            Box::new(|layout| {
                let manifest = good(layout);
                let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
                let path = layout.0.join("blobs/sha256").join(&digest[7..]);
                fs::write(layout.0.parent().unwrap().join("host"), &base).unwrap();
                fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink(layout.0.parent().unwrap().join("host"), path).unwrap();
                with_manifest(layout, manifest);
            }),
        ),
        (
            "layer that is a fifo",
            Box::new(|layout| {
                let manifest = good(layout);
                let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
                let path = layout.0.join("blobs/sha256").join(&digest[7..]);
                fs::remove_file(&path).unwrap();
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
                with_manifest(layout, manifest);
            }),
        ),
        (
            "layer that escapes",
            Box::new(|layout| {
                let evil = Tar::default().file("../../../../evil", b"").end();
                layout.index(&json!([layout.image(&[&base, &evil], gzip)]));
            }),
        ),
        (
            "bomb",
            Box::new(|layout| {
                let bomb = Tar::default().file("zeros", &vec![0; 70 << 20]).end();
                layout.index(&json!([layout.image(&[&bomb], gzip)]));
            }),
        ),
    ];
    for (what, make) in cases {
        let place = Place::new();
        let layout = place.layout();
        make(&layout);
        let refused = place.store.import(&layout.0, "evil");
        assert!(refused.is_err(), "{what}");
        let path = place.path("archive.tar");
        if !what.contains("fifo") && !what.contains("symlink") {
            fs::write(&path, archive(&layout.0)).unwrap();
            assert!(place.store.import(&path, "evil").is_err(), "{what}, archived");
        }
        assert!(place.files().is_empty(), "{what}: {:?}", place.files());
        assert!(place.store.list().unwrap().is_empty(), "{what}");
    }
}

#[test]
fn other_inputs_get_a_clear_error() {
    let place = Place::new();
    let message = |path: &Path, name: &str| place.store.import(path, name).unwrap_err().to_string();
    assert!(message(&place.path("absent"), "a").contains("absent"));
    fs::write(place.path("text"), "hello").unwrap();
    assert!(message(&place.path("text"), "a").contains("invalid image"));
    assert!(message(&place.path("text"), "A B").contains("invalid reference format"));
    assert!(message(place.directory.path(), "a").contains("index.json"));
    fs::write(place.store.root.join("index.json"), "{").unwrap();
    assert!(place.store.list().unwrap_err().to_string().contains("damaged"));
}

#[test]
fn others_cannot_walk_in() {
    let place = Place::new();
    assert_eq!(
        fs::metadata(&place.store.root).unwrap().permissions().mode() & 0o777,
        0o700
    );
}
