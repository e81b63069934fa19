//! Namespaces, made and joined.

use std::fs;

use serde_json::json;

use crate::holder::Holder;
use crate::support::{Bench, is_ours};

#[test]
fn every_kind_is_made() {
    let kinds = ["pid", "net", "ipc", "uts", "mnt", "cgroup"];
    let bench = Bench::script(&format!(
        "for kind in {}; do readlink /proc/self/ns/$kind; done",
        kinds.join(" ")
    ));
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    for (kind, inside) in kinds.iter().zip(output.lines()) {
        let ours = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(
            inside.starts_with(kind) && ours.to_str() != Some(inside),
            "{inside}"
        );
    }
}

#[test]
fn those_not_listed_are_the_hosts() {
    let mut bench = Bench::script("for kind in net pid ipc; do readlink /proc/self/ns/$kind; done");
    for kind in ["network", "pid", "ipc"] {
        bench.without_namespace(kind);
    }
    let (code, output) = bench.run();
    let own = |kind: &str| {
        fs::read_link(format!("/proc/self/ns/{kind}"))
            .unwrap()
            .display()
            .to_string()
    };
    assert_eq!(
        (code, output),
        (0, format!("{}\n{}\n{}\n", own("net"), own("pid"), own("ipc")))
    );
}

#[test]
fn existing_ones_are_joined() {
    let holder = Holder::new(&["--net", "--ipc", "--uts"]);
    let mut bench = Bench::script("for kind in net ipc uts; do readlink /proc/self/ns/$kind; done; hostname");
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        bench.namespace(kind, Some(&holder.path(file)));
    }
    let (code, output) = bench.run();
    let expected = ["net", "ipc", "uts"].map(|kind| holder.inode(kind)).join("\n");
    assert_eq!((code, output), (0, format!("{expected}\nkeelson\n")));
}

#[test]
fn a_process_namespace_is_joined() {
    let first = Bench::new(&["sleep", "1000"]);
    first.start();
    let path = format!("/proc/{}/ns/pid", first.pid());
    let mut bench = Bench::script("readlink /proc/self/ns/pid; ps");
    bench.namespace("pid", Some(&path));
    let (code, output) = bench.run();
    let inode = fs::read_link(&path).unwrap();
    assert!(
        code == 0 && output.starts_with(inode.to_str().unwrap()) && output.contains("sleep 1000"),
        "{output}"
    );
}

#[test]
fn a_time_namespace_has_its_clocks() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 know no time namespaces
    }
    let mut bench = Bench::script(
        "cat /proc/self/timens_offsets | tr -s ' '; cat /proc/uptime; readlink /proc/self/ns/time",
    );
    bench.namespace("time", None);
    bench.config["linux"]["timeOffsets"] =
        json!({"monotonic": {"secs": 86_400, "nanosecs": 5}, "boottime": {"secs": 172_800}});
    let (code, output) = bench.run();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(code, 0, "{output}");
    assert_eq!((lines[0], lines[1]), ("monotonic 86400 5", "boottime 172800 0"));
    let uptime = |text: &str| text.split('.').next().unwrap().parse::<u64>().unwrap();
    let here = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    assert!(
        (172_790..172_810).contains(&(uptime(lines[2]) - here)),
        "{output} {here}"
    );
    assert_ne!(
        lines[3],
        fs::read_link("/proc/self/ns/time").unwrap().to_str().unwrap()
    );

    let bench = {
        let mut bench = Bench::new(&["sleep", "1000"]);
        bench.namespace("time", None);
        bench.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 172_800}});
        bench
    };
    bench.start();
    let inside = uptime(&bench.ok(&["exec", &bench.id, "cat", "/proc/uptime"]));
    assert!(inside > here + 172_000, "exec joins it: {inside}");
    let path = format!("/proc/{}/ns/time", bench.pid());
    let mut other = Bench::script("cat /proc/uptime");
    other.namespace("time", Some(&path));
    assert!(uptime(&other.run().1) > here + 172_000, "so does a container");
}

#[test]
fn a_mount_namespace_is_joined() {
    let holder = Holder::new(&["--mount"]);
    let mut bench = Bench::script("readlink /proc/self/ns/mnt; ls -d /bin/sh /etc/debian_version");
    bench.namespace("mount", Some(&holder.path("mnt")));
    for list in ["maskedPaths", "readonlyPaths"] {
        bench.config["linux"][list] = json!([]);
    }
    // Of all mounts of this machine, those in the container's own directory: tests beside this one make and remove others.
    let ours = || {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let root = bench.directory.path().to_str().unwrap();
        mounts.lines().filter(|line| line.contains(root)).count()
    };
    let before = ours();
    let (_, output) = bench.run();
    assert!(output.starts_with(&holder.inode("mnt")), "{output}");
    assert!(
        output.contains("/bin/sh\n") && output.contains("debian_version: No such file"),
        "{output}"
    );
    assert_eq!(ours(), before);
}
