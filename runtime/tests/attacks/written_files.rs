//! Files that the runtime writes or reads in a root filesystem are symlinks, pipes or worse (CVE-2025-24965).

use std::fs;
use std::os::unix::fs::symlink;

use keelson_runtime::node::*;
use nix::sys::stat::Mode;
use serde_json::json;

use crate::bundle::Bundle;
use crate::runtimes::{Runtime, attack};
use crate::support::{Node, volume};
use crate::witness::{SECRET, Treasure};

/// Names that runtimes write, make or mount on.
const NAMES: [&str; 6] = [
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    ".krun_config.json",
    "run/.containerenv",
    "etc/mtab",
];

fn plant(rootfs: &std::path::Path, treasure: &Treasure, style: &str) {
    for name in NAMES {
        let path = rootfs.join(name);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let own = path.file_name().unwrap().to_str().unwrap();
        match style {
            "to a file" => symlink(treasure.file(own), &path).unwrap(),
            "to nothing" => symlink(treasure.file("deep").join(own), &path).unwrap(),
            "climbing" => symlink(format!("{}/{own}", treasure.climbing()), &path).unwrap(),
            _ => nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap(),
        }
    }
}

const STYLES: [&str; 4] = ["to a file", "to nothing", "climbing", "pipe"];

/// Files of the host bound over names that are symlinks, which the container then writes.
fn mounted_over_symlinks(runtime: &Runtime) {
    for style in STYLES {
        let script = "for f in /etc/hostname /etc/hosts /etc/resolv.conf; do cat $f; echo more >>$f; done; echo looked";
        let mut bundle = Bundle::shell(runtime, script);
        bundle.config["annotations"] = json!({"run.oci.handler": "krun"});
        plant(&bundle.path("rootfs"), &bundle.treasure, style);
        for name in ["hostname", "hosts", "resolv.conf"] {
            fs::write(bundle.path(name), format!("the pod's {name}\n")).unwrap();
            let source = bundle.path(name);
            bundle.bind(&source, &format!("/etc/{name}"));
        }
        let outcome = bundle.run();
        bundle.treasure.check(style);
        assert!(!outcome.text.contains(SECRET), "{style}: {}", outcome.text);
        if outcome.text.contains("looked") {
            assert!(
                fs::read_to_string(bundle.path("hosts")).unwrap().contains("more"),
                "{style}"
            );
        } else {
            println!("{style}: refused: {}", outcome.text.trim());
        }
    }
}
attack!(mounted_over_symlinks);

/// A runtime that writes `/etc/hostname` by its name in the root filesystem writes to the host.
#[test]
fn control() {
    for style in ["to a file", "to nothing", "climbing"] {
        let bundle = Bundle::new(&Runtime::keelson(), &["true"]);
        plant(&bundle.path("rootfs"), &bundle.treasure, style);
        fs::write(bundle.rootfs("etc/hostname"), "victim\n").unwrap();
        assert!(bundle.treasure.damage().is_some(), "{style}");
    }
}

/// A pod's own files.
#[test]
fn of_a_pods_container() {
    for style in STYLES {
        let node = Node::new();
        let treasure = Treasure::in_directory(node.directory.path());
        plant(&node.rootfs, &treasure, style);
        let hosts = node.directory.path().join("hosts");
        fs::write(&hosts, "the pod's\n").unwrap();
        let spec = ContainerSpec {
            mounts: vec![volume(&hosts, "/etc/hosts"), volume(&hosts, "/etc/resolv.conf")],
            ..node.shell("cat /etc/hostname /etc/hosts; echo more >>/etc/hostname; echo more >>/etc/hosts; echo looked")
        };
        node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
        match node.runtime.create_container("pod", &spec) {
            Ok(_) => {
                node.runtime.start_container(&spec.id).unwrap();
                node.wait(&spec.id);
                let log = Node::log(&spec);
                assert!(
                    log.contains("the-pod") && log.contains("looked") && !log.contains(SECRET),
                    "{style}: {log}"
                );
            }
            Err(error) => println!("{style}: refused: {error}"),
        }
        treasure.check(style);
    }
}

/// The account files, which are read to find the user.
#[test]
fn account_files() {
    let node = Node::new();
    let outside = node.directory.path().join("outside");
    fs::write(&outside, "evil:x:0:0::/:/bin/sh\n").unwrap();
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    symlink(&outside, node.rootfs.join("etc/passwd")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let as_evil = || ContainerSpec {
        user: User {
            image_user: "evil".into(),
            ..User::default()
        },
        ..node.container(&["id"])
    };
    let refused = node.runtime.create_container("pod", &as_evil());
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    nix::unistd::mkfifo(&node.rootfs.join("etc/passwd"), Mode::S_IRWXU).unwrap();
    assert!(node.runtime.create_container("pod", &as_evil()).is_err());
    // Endless.
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    fs::File::create(node.rootfs.join("etc/passwd"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(node.runtime.create_container("pod", &as_evil()).is_err());
    // The control: the entry is found where the file is the image's own.
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    fs::copy(&outside, node.rootfs.join("etc/passwd")).unwrap();
    assert!(node.runtime.create_container("pod", &as_evil()).is_ok());
}

/// Hooks are programs of the host: what they make there is not for everybody to write to.
fn hooks_have_a_mask(runtime: &Runtime) {
    for kind in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::new(runtime, &["true"]);
        let file = bundle.path("mask");
        let script = format!("umask >{}", file.display());
        bundle.config["hooks"] = json!({ kind: [{"path": "/bin/sh", "args": ["sh", "-c", script]}] });
        let outcome = bundle.run();
        assert!(outcome.ok(), "{kind}: {}", outcome.text);
        let mask = fs::read_to_string(&file).unwrap();
        let mask = u32::from_str_radix(mask.trim(), 8).unwrap();
        assert_eq!(mask & 0o002, 0o002, "{kind}: {mask:o}");
    }
}
attack!(hooks_have_a_mask);
