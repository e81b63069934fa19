//! The cgroup filesystem from inside (CVE-2022-0492, 2023-25809).

use std::fs;

use keelson_runtime::node::*;
use serde_json::json;

use crate::bundle::Bundle;
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

/// Tries everything on `/sys/fs/cgroup`, and on a hierarchy of its own making. Prints a line that begins with `DID` for
/// each thing that it could do.
const TRY: &str = r#"
cd /sys/fs/cgroup
did() { echo "DID $*"; }
for d in . unified systemd memory pids; do
  [ -d $d ] || continue
  mkdir $d/evil 2>/dev/null && rmdir $d/evil && did mkdir $d
  for f in cgroup.procs tasks; do [ -e $d/$f ] && (echo 0 >$d/$f) 2>/dev/null && did write $d/$f; done
done
for f in $(find . -name release_agent 2>/dev/null); do (echo /evil >$f) 2>/dev/null && did write $f; done
for f in $(find . -name notify_on_release 2>/dev/null | head -20); do (echo 1 >$f) 2>/dev/null && did write $f; done
mount -o remount,rw /sys/fs/cgroup 2>/dev/null && mkdir evil 2>/dev/null && rmdir evil && did remount
mkdir -p /mnt
for how in "-t cgroup -o rdma" "-t cgroup -o memory" "-t cgroup2"; do
  mount $how cgroup /mnt 2>/dev/null && did mount $how
  unshare -UrmC sh -c "mount $how cgroup /mnt && (echo /evil >/mnt/release_agent) && echo DID release_agent in a user namespace" 2>/dev/null
done
echo tried
"#;

fn mounted(runtime: &Runtime, options: &[&str], own_namespace: bool) -> Bundle {
    let mut bundle = Bundle::shell(runtime, TRY);
    if !own_namespace {
        bundle.config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .retain(|n| n["type"] != "cgroup");
    }
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", options);
    bundle
}

/// Read-only unless asked for otherwise, with a cgroup namespace and without.
fn is_out_of_reach(runtime: &Runtime) {
    for own_namespace in [true, false] {
        let bundle = mounted(
            runtime,
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
            own_namespace,
        );
        let outcome = bundle.run();
        assert!(outcome.text.contains("tried"), "{}", outcome.text);
        assert!(
            !outcome.text.contains("DID"),
            "own namespace {own_namespace}: {}",
            outcome.text
        );
    }
}
attack!(
    is_out_of_reach,
    "crun 1.8.1, with cgroup version 1, leaves the tmpfs at /sys/fs/cgroup writable: directories can be made in it, no cgroups"
);

/// Even with every capability a namespace of its own shows nothing above the container.
fn shows_nothing_above(runtime: &Runtime) {
    let mut bundle = mounted(runtime, &["ro"], true);
    bundle.config["process"]["args"] = json!([
        "/bin/sh",
        "-c",
        "grep 0:: /proc/self/cgroup; find /sys/fs/cgroup -name 'keelson-attack-*'; echo looked"
    ]);
    let outcome = bundle.run();
    assert!(
        outcome.text.contains("looked") && !outcome.text.contains("keelson-attack-"),
        "{}",
        outcome.text
    );
}
attack!(shows_nothing_above);

/// The same script does something where the hierarchy is writable on request.
#[test]
fn control() {
    let bundle = mounted(&Runtime::keelson(), &["rw"], true);
    let outcome = bundle.run();
    assert!(outcome.text.contains("DID mkdir"), "{}", outcome.text);
}

/// A pod's container.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    let (_, output) = node.run(&node.shell(&format!(
        "tail -1 /proc/self/cgroup; ls -d /sys/fs/cgroup/kubepods /sys/fs/cgroup/keelson* 2>/dev/null; {TRY}"
    )));
    assert!(
        output.starts_with("0::/\n") && output.contains("tried"),
        "{output}"
    );
    assert!(
        !output.contains("DID") && !output.contains("keelson") && !output.contains("kubepods"),
        "{output}"
    );
    // As root with every capability but without being privileged, too.
    let all = ContainerSpec {
        cap_add: vec!["ALL".into()],
        cap_drop: vec!["SYS_ADMIN".into()],
        ..node.shell(TRY)
    };
    let (_, output) = node.run_in("pod", &all);
    assert!(output.contains("tried") && !output.contains("DID"), "{output}");
    assert!(fs::metadata("/sys/fs/cgroup").is_ok());
}

/// Devices are kept by the cgroup's filter: a raw disk cannot be opened, though its node can be made.
fn a_raw_disk(runtime: &Runtime) {
    use std::os::unix::fs::MetadataExt;
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (libc::major(disk), libc::minor(disk));
    let bundle = Bundle::shell(
        runtime,
        &format!(
            "mknod /disk b {major} {minor} 2>/dev/null && echo made; head -c 1 /disk >/dev/null 2>&1 && echo READ; \
             mknod /mem c 1 1 2>/dev/null; head -c 1 /mem >/dev/null 2>&1 && echo READ; echo x >/dev/null && echo fine"
        ),
    );
    let outcome = bundle.run();
    assert!(
        outcome.text.contains("fine") && !outcome.text.contains("READ"),
        "{}",
        outcome.text
    );
}
attack!(a_raw_disk);

/// A pod's container, and a device that was asked for.
#[test]
fn devices_of_a_pods_container() {
    use std::os::unix::fs::MetadataExt;
    let node = Node::new();
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (libc::major(disk), libc::minor(disk));
    let (_, output) = node.run(&node.shell(&format!(
        "mknod /disk b {major} {minor} && echo made; head -c 1 /disk 2>&1; mknod /mem c 1 1; head -c 1 /mem 2>&1; echo x >/dev/null && echo fine"
    )));
    assert!(
        output.starts_with("made\n") && output.ends_with("fine\n"),
        "{output}"
    );
    assert_eq!(output.matches("Operation not permitted").count(), 2, "{output}");
    let device = ("/dev/fuse".into(), "/dev/my-fuse".into(), "rw".to_owned());
    if std::path::Path::new("/dev/fuse").exists() {
        let spec = ContainerSpec {
            devices: vec![device],
            ..node.shell("true <>/dev/my-fuse && echo opened")
        };
        assert_eq!(node.run_in("pod", &spec).1, "opened\n");
    }
}
