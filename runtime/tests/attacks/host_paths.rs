//! A hostPath of a declared type that is a symlink, or whose name is swapped between the check and the mount
//! (CVE-2021-43816): what was checked is what is mounted.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Instant;

use keelson_runtime::node::*;

use crate::support::{Node, volume};
use crate::swaps::while_swapping;
use crate::witness::{SECRET, time_box};

fn typed(source: &Path, kind: SourceKind, target: &str) -> VolumeMount {
    VolumeMount {
        kind: Some(kind),
        ..volume(source, target)
    }
}

/// Each kind is accepted as itself only, directly and behind a symlink, which is the node's owner's and followed.
#[test]
fn are_what_they_are_declared() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let place = node.directory.path().join("sources");
    fs::create_dir_all(place.join("directory")).unwrap();
    fs::write(place.join("file"), "").unwrap();
    let _listener = UnixListener::bind(place.join("socket")).unwrap();
    symlink("/dev/null", place.join("device")).unwrap();
    nix::unistd::mkfifo(&place.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let kinds = [
        ("directory", Some(SourceKind::Directory)),
        ("file", Some(SourceKind::File)),
        ("socket", Some(SourceKind::Socket)),
        ("device", Some(SourceKind::CharDevice)),
        ("pipe", None),
        ("missing", None),
    ];
    let wanted = [
        SourceKind::Directory,
        SourceKind::File,
        SourceKind::Socket,
        SourceKind::CharDevice,
        SourceKind::BlockDevice,
    ];
    for (name, is) in kinds {
        symlink(place.join(name), place.join(format!("{name}-link"))).unwrap();
        for kind in wanted {
            for source in [name.to_owned(), format!("{name}-link")] {
                let spec = ContainerSpec {
                    mounts: vec![typed(&place.join(&source), kind, "/mounted")],
                    ..node.container(&["true"])
                };
                let created = node.runtime.create_container("pod", &spec);
                assert_eq!(
                    created.is_ok(),
                    is == Some(kind),
                    "{source} as {kind:?}: {created:?}"
                );
                if let Err(error) = created {
                    assert!(error.to_string().contains(&source), "{error}");
                }
            }
        }
    }
}

/// Swapped between a directory and a symlink to a file of the host: a container sees the directory, or is refused.
#[test]
fn are_raced() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let place = node.directory.path().join("sources");
    fs::create_dir_all(place.join("a")).unwrap();
    fs::write(place.join("a/own"), "the volume's own").unwrap();
    fs::write(place.join("secret"), SECRET).unwrap();
    symlink("secret", place.join("b")).unwrap();
    let (begin, time, mut mounted, mut refused) = (Instant::now(), time_box(4), 0, 0);
    while_swapping(&place.join("a"), &place.join("b"), || {
        while begin.elapsed() < time {
            let spec = ContainerSpec {
                mounts: vec![typed(&place.join("a"), SourceKind::Directory, "/mounted")],
                ..node.shell("cat /mounted /mounted/own")
            };
            match node.runtime.create_container("pod", &spec) {
                Ok(_) => {
                    mounted += 1;
                    node.runtime.start_container(&spec.id).unwrap();
                    node.wait(&spec.id);
                    let log = Node::log(&spec);
                    assert!(log.contains("the volume's own") && !log.contains(SECRET), "{log}");
                    node.runtime.remove_container(&spec.id).unwrap();
                }
                Err(Error::Invalid(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
    println!("{mounted} mounted, {refused} refused");
    assert!(mounted > 3 && refused > 3);
}

/// Who checks the name and mounts it by name gets the file: an undeclared source shows what it finds.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::create_dir_all(path("a")).unwrap();
    fs::write(path("secret"), SECRET).unwrap();
    symlink("secret", path("b")).unwrap();
    let (mut lost, mut tries) = (false, 0);
    while_swapping(&path("a"), &path("b"), || {
        while !lost && tries < 100_000 {
            lost = path("a").is_dir() && fs::read_to_string(path("a")).is_ok_and(|text| text == SECRET);
            tries += 1;
        }
    });
    println!("lost after {tries} tries");
    assert!(lost);
}
