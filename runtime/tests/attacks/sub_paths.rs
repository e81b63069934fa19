//! subPath components that are, or become, symlinks (CVE-2017-1002101, 2021-25741): the mount is anchored below the
//! volume, and no file of the host is visible.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use keelson_runtime::node::*;

use crate::support::{Node, volume};
use crate::swaps::while_swapping;
use crate::witness::{SECRET, Treasure, time_box};

#[test]
fn stay_in_their_volume() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    let source = node.directory.path().join("volume");
    fs::create_dir_all(source.join("real")).unwrap();
    symlink(&treasure.path, source.join("absolute")).unwrap();
    symlink("../treasure", source.join("up")).unwrap();
    symlink("/proc/self/root", source.join("magic")).unwrap();
    symlink("real", source.join("fine")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for (sub, good) in [
        ("absolute", false),
        ("absolute/new", false),
        ("up", false),
        ("up/new", false),
        ("magic", false),
        ("magic/etc", false),
        ("../treasure", false),
        ("real/../../treasure", false),
        ("real/..", false),
        ("/etc", false),
        ("fine", true),
        ("fine/below", true),
        ("new/dir", true),
    ] {
        let mount = VolumeMount {
            sub_path: Some(sub.into()),
            ..volume(&source, "/data")
        };
        let spec = ContainerSpec {
            mounts: vec![mount],
            ..node.shell("ls -A /data")
        };
        let result = node.runtime.create_container("pod", &spec);
        assert_eq!(result.is_ok(), good, "{sub}: {result:?}");
    }
    treasure.check("subPath");
}

/// A component is swapped for a symlink while containers start.
#[test]
fn are_raced() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    let source = node.directory.path().join("volume");
    fs::create_dir_all(source.join("a/sub")).unwrap();
    fs::write(source.join("a/sub/file"), "the volume's own").unwrap();
    // Its namesake leads to a directory of the host with the same names in it.
    fs::create_dir_all(node.directory.path().join("host/sub")).unwrap();
    fs::write(node.directory.path().join("host/sub/file"), SECRET).unwrap();
    symlink("../host", source.join("b")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let (begin, time, mut tries, mut mounted) = (Instant::now(), time_box(5), 0, 0);
    while_swapping(&source.join("a"), &source.join("b"), || {
        while begin.elapsed() < time || tries <= 10 {
            let mount = |sub: &str, target: &str| VolumeMount {
                sub_path: Some(sub.into()),
                ..volume(&source, target)
            };
            let spec = ContainerSpec {
                mounts: vec![
                    mount("a/sub", "/data"),
                    mount("a/sub/file", "/file"),
                    mount("a/sub/made", "/made"),
                ],
                ..node.shell("cat /data/file /file; touch /made/x")
            };
            if node.runtime.create_container("pod", &spec).is_ok()
                && node.runtime.start_container(&spec.id).is_ok()
            {
                node.wait(&spec.id);
                mounted += 1;
                let log = Node::log(&spec);
                assert!(!log.contains(SECRET), "after {tries} tries: {log}");
            }
            node.runtime.remove_container(&spec.id).unwrap();
            tries += 1;
        }
    });
    println!("{tries} tries, {mounted} mounted");
    assert!(tries > 10);
    assert!(!node.directory.path().join("host/sub/made").exists());
    treasure.check("raced subPath");
}

/// A runtime that checks the name and then mounts it by name falls.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("volume");
    for (directory, text) in [("volume/a/sub", "own"), ("host/sub", SECRET)] {
        fs::create_dir_all(place.path().join(directory)).unwrap();
        fs::write(place.path().join(directory).join("file"), text).unwrap();
    }
    symlink("../host", source.join("b")).unwrap();
    let mut tries = 0;
    let mut lost = false;
    while_swapping(&source.join("a"), &source.join("b"), || {
        while !lost && tries < 100_000 {
            let path = source.join("a/sub/file");
            let checked = path.canonicalize().is_ok_and(|real| real.starts_with(&source));
            lost = checked && fs::read_to_string(&path).is_ok_and(|text| text == SECRET);
            tries += 1;
        }
    });
    println!("lost after {tries} tries");
    assert!(lost);
}
