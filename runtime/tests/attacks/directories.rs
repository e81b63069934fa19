//! Another user of the machine walks the runtime's directories (CVE-2021-41103, 2024-25621): state, pods, image layers,
//! logs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use keelson_runtime::image::ImageStore;

use crate::bundle::Bundle;
use crate::images::{Layout, Tar};
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

/// What a process without privileges finds below a directory.
fn seen_by_another(directory: &Path) -> Vec<String> {
    let output = Command::new("/usr/bin/setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", "find"])
        .arg(directory)
        .args(["-mindepth", "1"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A directory of a test's own that lets everybody pass: what bars the way is then the runtime's own doing.
fn let_pass(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// State of the command line's containers, while one runs.
fn of_the_command_line(runtime: &Runtime) {
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    let_pass(bundle.directory.path());
    assert!(bundle.start().ok());
    let state = bundle.path("state");
    assert!(state.join(&bundle.id).is_dir());
    let seen = seen_by_another(&state);
    // A name may be seen, not what is in it.
    let within: Vec<_> = seen
        .iter()
        .filter(|path| Path::new(path) != state.join(&bundle.id))
        .collect();
    assert!(within.is_empty(), "{within:?}");
}
attack!(of_the_command_line);

/// A node's root, volatile directory, layers and logs.
#[test]
fn of_a_node() {
    let node = Node::new();
    let_pass(node.directory.path());
    let spec = node.shell("echo secret; sleep 1000");
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    for directory in [&node.config.root, &node.config.run_dir] {
        assert!(fs::read_dir(directory).unwrap().count() > 0);
        assert_eq!(
            seen_by_another(directory),
            Vec::<String>::new(),
            "{}",
            directory.display()
        );
        assert_eq!(fs::metadata(directory).unwrap().mode() & 0o077, 0);
    }
    let log = fs::metadata(spec.log_path.unwrap()).unwrap();
    assert_eq!(
        log.mode() & 0o007,
        0,
        "others cannot read a log: {:o}",
        log.mode()
    );
}

/// The image store: layers have setuid programs.
#[test]
fn of_the_image_store() {
    let place = tempfile::tempdir().unwrap();
    let_pass(place.path());
    let root = place.path().join("store");
    let store = ImageStore::open(&root).unwrap();
    let layout = Layout::new(place.path().join("layout"));
    let layer = Tar::default()
        .directory("./")
        .file_with_mode("su", b"#!", 0o4755)
        .end();
    layout.index(&[layout.image(&[&layer])]);
    let image = store.import(&layout.path, "setuid").unwrap();
    let mode = fs::metadata(image.layers[0].join("su")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o4755);
    assert_eq!(seen_by_another(&root), Vec::<String>::new());
}

/// The other user does see what is open.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let_pass(place.path());
    fs::create_dir(place.path().join("open")).unwrap();
    fs::write(place.path().join("open/file"), "").unwrap();
    assert_eq!(seen_by_another(place.path()).len(), 2);
}
