//! Paths of an image's configuration, or of a bundle's, that lead to the host (CVE-2022-23648): nothing of the host is
//! copied or shown.

use std::fs;
use std::os::unix::fs::symlink;

use keelson_runtime::image::ImageStore;
use keelson_runtime::node::*;
use serde_json::json;

use crate::images::{Layout, Tar, config};
use crate::support::Node;
use crate::witness::{SECRET, Treasure, census};

/// VOLUME, WORKDIR and USER of an image climb or are symlinks; the container sees what is inside it.
#[test]
fn of_the_configuration() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    let store = ImageStore::open(&node.directory.path().join("store")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for (number, path) in [
        treasure.climbing(),
        "/../../../../../../tmp".to_owned(),
        "/volume".to_owned(),
        "/volume/../..".to_owned(),
        format!("/volume/{}", treasure.climbing()),
        "../..".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let layout = Layout::new(node.directory.path().join(format!("layout-{number}")));
        let layer = Tar::default()
            .directory("bin")
            .symlink("volume", treasure.path.to_str().unwrap())
            .end();
        let mut config = config(&[&layer]);
        config["config"]["Volumes"] = json!({ path.clone(): {} });
        config["config"]["WorkingDir"] = json!(path);
        layout.index(&[layout.image_of(&config, &[&layer])]);
        let image = store.import(&layout.path, &format!("evil:{number}")).unwrap();
        // As the kubelet makes it: the image's layers, here with a shell below them, and its working directory.
        let mut layers = vec![node.rootfs.clone()];
        layers.extend(image.layers.clone());
        let spec = ContainerSpec {
            rootfs: RootfsSource::Layers(layers),
            cwd: image.config.config().as_ref().unwrap().working_dir().clone().unwrap(),
            ..node.shell("cat witness */witness 2>/dev/null; cat /volume/witness 2>/dev/null; touch made; pwd; echo looked")
        };
        let made = node
            .runtime
            .create_container("pod", &spec)
            .and_then(|_| node.runtime.start_container(&spec.id));
        if let Err(error) = made {
            println!("{path}: refused: {error}");
        } else {
            node.wait(&spec.id);
            let log = Node::log(&spec);
            assert!(log.contains("looked") && !log.contains(SECRET), "{path}: {log}");
        }
        treasure.check(&path);
        for layer in &image.layers {
            assert!(
                !census(layer)
                    .keys()
                    .any(|file| file.ends_with("witness") || file.ends_with("made")),
                "{path}"
            );
        }
    }
}

/// The root of a bundle: its own directory, not one of the host's by `..`, an absolute path or a symlink.
#[test]
fn of_a_bundle() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    let store = ImageStore::open(&node.directory.path().join("store")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let bundle = node.directory.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    fs::create_dir(bundle.join("own")).unwrap();
    symlink(&treasure.path, bundle.join("link")).unwrap();
    symlink("../treasure", bundle.join("up")).unwrap();
    let absolute = treasure.path.to_str().unwrap();
    for (root, good) in [
        ("own", true),
        ("./own", true),
        ("link", false),
        ("up", false),
        ("../treasure", false),
        ("own/../../treasure", false),
        (absolute, false),
        ("link/deep", false),
        ("", false),
    ] {
        let config = json!({"ociVersion": "1.0.2", "root": {"path": root}, "process": {"cwd": "/", "args": ["/bin/true"],
            "user": {"uid": 0, "gid": 0}}});
        fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        let imported = store.import(&bundle, "evil");
        assert_eq!(
            imported.is_ok(),
            good,
            "import of root {root:?}: {:?}",
            imported.map(|image| image.id)
        );
        let spec = ContainerSpec {
            rootfs: RootfsSource::Bundle(bundle.clone()),
            ..node.container(&[])
        };
        let created = node.runtime.create_container("pod", &spec);
        assert_eq!(
            created.is_ok(),
            good,
            "container of root {root:?}: {:?}",
            created.map(|_| ())
        );
        treasure.check(root);
    }
}
