//! Mount targets that the image has made into symlinks (CVE-2019-19921, 2023-27561, 2026-41579): what is mounted or made
//! stays inside the root filesystem, or the container is refused.

use std::fs;
use std::os::unix::fs::symlink;

use keelson_runtime::node::*;

use crate::bundle::Bundle;
use crate::runtimes::{Runtime, attack};
use crate::support::{Node, volume};
use crate::witness::{SECRET, Treasure};

/// How a name of the root filesystem leads elsewhere.
const STYLES: [&str; 4] = ["absolute", "climbing", "dangling", "inside"];

/// Replaces `name` of the root filesystem by a symlink.
fn plant(rootfs: &std::path::Path, treasure: &Treasure, name: &str, style: &str) {
    let path = rootfs.join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match style {
        "absolute" => symlink(&treasure.path, &path).unwrap(),
        "climbing" => symlink(treasure.climbing(), &path).unwrap(),
        "dangling" => symlink(treasure.file("deep/made"), &path).unwrap(),
        _ => {
            fs::create_dir_all(rootfs.join("elsewhere")).unwrap();
            symlink("/elsewhere", &path).unwrap();
        }
    }
}

/// What the container, if it starts, may not find: the host's file, an unmasked or writable procfs.
const LOOK: &str = "find / -name witness 2>/dev/null | while read f; do cat $f; done; \
    for p in /proc /elsewhere; do [ -e $p/keys ] && wc -c <$p/keys; \
    [ -e $p/sys/kernel/hostname ] && (echo owned >$p/sys/kernel/hostname) 2>/dev/null && echo WRITABLE; done; echo looked";

fn check(bundle: &Bundle, what: &str) {
    let outcome = bundle.run();
    bundle.treasure.check(what);
    assert!(!outcome.text.contains(SECRET), "{what}: {}", outcome.text);
    if outcome.ok() {
        let lines: Vec<&str> = outcome.text.lines().collect();
        assert!(!lines.contains(&"WRITABLE"), "{what}: {lines:?}");
        assert!(
            lines.iter().all(|line| *line == "0" || *line == "looked"),
            "{what}: not masked: {lines:?}"
        );
    }
}

/// `/proc`, `/sys`, `/dev` and below.
fn of_kernel_filesystems(runtime: &Runtime) {
    for name in ["proc", "sys", "dev", "dev/pts", "dev/shm"] {
        for style in STYLES {
            let bundle = Bundle::shell(runtime, LOOK);
            plant(&bundle.path("rootfs"), &bundle.treasure, name, style);
            check(&bundle, &format!("{name} {style}"));
        }
    }
}
attack!(of_kernel_filesystems);

/// With no mount on `/dev`, the default device nodes and links are made in the image's own directory.
fn without_a_mount_on_dev(runtime: &Runtime) {
    for style in STYLES {
        let mut bundle = Bundle::shell(runtime, LOOK);
        for mount in ["/dev", "/dev/pts", "/dev/shm"] {
            bundle.without_mount(mount);
        }
        plant(&bundle.path("rootfs"), &bundle.treasure, "dev", style);
        check(&bundle, &format!("no /dev mount, {style}"));
    }
    // The nodes themselves as symlinks.
    let mut bundle = Bundle::shell(runtime, LOOK);
    for mount in ["/dev", "/dev/pts", "/dev/shm"] {
        bundle.without_mount(mount);
    }
    fs::create_dir_all(bundle.rootfs("dev")).unwrap();
    for (name, target) in [
        ("null", "witness"),
        ("zero", "new"),
        ("tty", "deep"),
        ("fd", "deep/fd"),
        ("console", "console"),
    ] {
        symlink(bundle.treasure.file(target), bundle.rootfs("dev").join(name)).unwrap();
    }
    check(&bundle, "device nodes");
}
attack!(
    without_a_mount_on_dev,
    "crun 1.8.1 makes device nodes and links of /dev behind the symlink, on the host (the class of CVE-2026-41579)"
);

/// Targets of bind mounts, and of devices of the configuration, at any depth.
fn of_binds_and_devices(runtime: &Runtime) {
    for (name, target) in [
        ("data", "/data/deep"),
        ("data", "/data"),
        ("a/b", "/a/b/c/d"),
        ("etc", "/etc/resolv.conf"),
    ] {
        for style in STYLES {
            let mut bundle = Bundle::shell(runtime, LOOK);
            plant(&bundle.path("rootfs"), &bundle.treasure, name, style);
            let source = bundle.path("source");
            if target == "/etc/resolv.conf" {
                fs::write(&source, "x").unwrap();
            } else {
                fs::create_dir(&source).unwrap();
            }
            bundle.bind(&source, target);
            bundle.config["linux"]["devices"] = serde_json::json!([{"path": format!("/{name}/nodes/null"), "type": "c", "major": 1, "minor": 3}]);
            check(&bundle, &format!("{target} with {name} {style}"));
        }
    }
}
attack!(of_binds_and_devices);

/// The same symlinks lead a runtime outside that makes its targets by their names.
#[test]
fn control() {
    for style in ["absolute", "climbing", "dangling"] {
        let bundle = Bundle::shell(&Runtime::keelson(), LOOK);
        plant(&bundle.path("rootfs"), &bundle.treasure, "data", style);
        // mkdir -p of a dangling symlink's target needs its parent only; a naive runtime would make that, too.
        let made = fs::create_dir_all(bundle.rootfs("data/deeper/still"));
        if style == "dangling" {
            fs::create_dir(fs::read_link(bundle.rootfs("data")).unwrap()).unwrap();
        } else {
            made.unwrap();
        }
        assert!(bundle.treasure.damage().is_some(), "{style}");
    }
}

/// A pod's container.
#[test]
fn of_a_pods_container() {
    for name in ["proc", "sys", "dev", "etc", "data"] {
        for style in STYLES {
            let node = Node::new();
            let treasure = Treasure::in_directory(node.directory.path());
            plant(&node.rootfs, &treasure, name, style);
            let source = node.directory.path().join("source");
            fs::create_dir(&source).unwrap();
            fs::write(source.join("file"), "x").unwrap();
            let spec = ContainerSpec {
                mounts: vec![
                    volume(&source, "/data/deep"),
                    volume(&source.join("file"), "/etc/resolv.conf"),
                ],
                log_path: None,
                ..node.shell("cat /data/deep/file")
            };
            node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
            match node.runtime.create_container("pod", &spec) {
                Ok(_) => assert!(name != "proc" && name != "sys", "{name} {style} accepted"),
                Err(error) => assert!(name == "proc" || name == "sys", "{name} {style}: {error}"),
            }
            treasure.check(&format!("{name} {style}"));
        }
    }
}
