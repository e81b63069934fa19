//! Something else where procfs should be, or over a part of it (CVE-2019-16884, 2025-52881): whatever the runtime writes
//! to procfs (labels, kernel parameters) goes to procfs or nowhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use keelson_runtime::node::*;
use serde_json::json;

use crate::bundle::Bundle;
use crate::runtimes::{Runtime, attack};
use crate::support::{Node, volume};
use crate::witness::{Treasure, census};

/// A kernel parameter of the network namespace, its file, and a value that is nobody's default.
const PARAMETER: &str = "net.ipv4.ip_default_ttl";
const VALUE: &str = "77";

fn file(procfs: &Path) -> std::path::PathBuf {
    procfs.join("sys").join(PARAMETER.replace('.', "/"))
}

/// A directory that looks like procfs, with files where the runtime would write.
fn decoy(at: &Path) {
    for directory in [
        "self/attr/apparmor",
        "thread-self/attr/apparmor",
        "1/attr",
        "sys/net/ipv4",
        "sys/kernel",
    ] {
        fs::create_dir_all(at.join(directory)).unwrap();
    }
    for name in [
        "self/attr/exec",
        "self/attr/current",
        "self/attr/apparmor/exec",
        "thread-self/attr/exec",
        "1/attr/exec",
    ] {
        fs::write(at.join(name), "decoy").unwrap();
    }
    for name in [
        "self/oom_score_adj",
        "sys/kernel/hostname",
        "sys/kernel/core_pattern",
        "self/setgroups",
        "self/uid_map",
    ] {
        fs::write(at.join(name), "decoy").unwrap();
    }
    fs::write(file(at), "decoy").unwrap();
}

/// A container that asks for a parameter and an oom score, with a second and real procfs at `/real`.
fn asking(runtime: &Runtime) -> Bundle {
    let mut bundle = Bundle::shell(runtime, &format!("cat {}", file(Path::new("/real")).display()));
    bundle.config["linux"]["sysctl"] = json!({ PARAMETER: VALUE });
    bundle.config["process"]["oomScoreAdj"] = json!(500);
    bundle.mount("/real", "proc", "proc", &[]);
    bundle
}

/// Runs it and finds the decoy and the host untouched, and the parameter set if it ran at all.
fn check(bundle: &Bundle, decoy: &Path, what: &str) {
    let host = || fs::read_to_string(file(Path::new("/proc"))).unwrap();
    let (before, host_before) = (contents(decoy), host());
    let outcome = bundle.run();
    assert_eq!(
        contents(decoy),
        before,
        "{what}: the decoy was written to: {}",
        outcome.text
    );
    assert_eq!(host(), host_before, "{what}: the host's parameter was set");
    if outcome.ok() {
        assert_eq!(outcome.text.trim(), VALUE, "{what}: the parameter went astray");
    } else {
        println!("{what}: refused: {}", outcome.text.trim());
    }
}

fn contents(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = census(directory).into_keys().filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The image's own directory instead of a mount, and the host's directory or a tmpfs mounted there.
fn replaced(runtime: &Runtime) {
    let mut bundle = asking(runtime);
    bundle.without_mount("/proc");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    decoy(&bundle.rootfs("proc"));
    check(&bundle, &bundle.rootfs("proc"), "no procfs");

    let mut bundle = asking(runtime);
    let elsewhere = bundle.path("decoy");
    decoy(&elsewhere);
    bundle.without_mount("/proc");
    bundle.bind(&elsewhere, "/proc");
    check(&bundle, &elsewhere, "a directory");
}
attack!(replaced);

/// Decoys bound over parts of the real procfs, under any name.
fn covered_in_part(runtime: &Runtime) {
    for target in [
        "/proc/self/attr",
        "/proc/sys",
        "/proc/sys/net/ipv4",
        "/proc/1/attr",
        "/alias/attr",
        "/tmp/../proc/sys",
        "/proc/self/oom_score_adj",
    ] {
        let mut bundle = asking(runtime);
        let elsewhere = bundle.path("decoy");
        decoy(&elsewhere);
        symlink("/proc/self", bundle.rootfs("alias")).unwrap();
        let part = target
            .trim_start_matches("/tmp/..")
            .replace("/alias", "/proc/self");
        bundle.bind(&elsewhere.join(part.trim_start_matches("/proc/")), target);
        check(&bundle, &elsewhere, target);
    }
}
attack!(covered_in_part);

/// As above, with labels asked for: they are set, refused, or nowhere to be found, never in the decoy.
fn labels(runtime: &Runtime) {
    for (key, label) in [
        ("apparmorProfile", "evil"),
        ("selinuxLabel", "system_u:system_r:evil_t:s0"),
    ] {
        for target in ["/proc/self/attr", "/proc/thread-self/attr", "/proc"] {
            let mut bundle = Bundle::new(runtime, &["true"]);
            let elsewhere = bundle.path("decoy");
            decoy(&elsewhere);
            let source = elsewhere.join(target.trim_start_matches("/proc").trim_start_matches('/'));
            bundle.config["process"][key] = json!(label);
            bundle.bind(&source, target);
            let before = contents(&elsewhere);
            let outcome = bundle.run();
            assert_eq!(
                contents(&elsewhere),
                before,
                "{key} over {target}: {}",
                outcome.text
            );
        }
    }
}
attack!(labels);

/// A runtime that writes below the container's `/proc` by name writes to the decoy.
#[test]
fn control() {
    let bundle = Bundle::new(&Runtime::keelson(), &["true"]);
    let proc = bundle.rootfs("proc");
    decoy(&proc);
    let before = contents(&proc);
    fs::write(file(&proc), VALUE).unwrap();
    assert_ne!(contents(&proc), before);
}

/// A pod's container may not have a volume anywhere on procfs, or instead of it.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    let decoy = Treasure::in_directory(node.directory.path());
    symlink("/proc/self", node.rootfs.join("alias")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for target in [
        "/proc",
        "/proc/",
        "/proc/self/attr",
        "/proc/sys",
        "/proc/1/attr",
        "/alias/attr",
        "/tmp/../proc/sys",
        "/sys",
    ] {
        let spec = ContainerSpec {
            mounts: vec![volume(&decoy.path, target)],
            ..node.container(&["true"])
        };
        assert!(node.runtime.create_container("pod", &spec).is_err(), "{target}");
    }
}
