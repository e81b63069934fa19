//! The root filesystem: its own mount, masked paths, devices, cgroups.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use serde_json::json;

use crate::support::{Bench, is_ours};

#[test]
fn root_propagation() {
    for (name, tag) in [
        ("private", ""),
        ("slave", ""),
        ("shared", "shared:"),
        ("unbindable", "unbindable"),
    ] {
        let mut bench = Bench::new(&["cat", "/proc/self/mountinfo"]);
        bench.config["linux"]["rootfsPropagation"] = json!(name);
        let (code, output) = bench.run();
        assert_eq!(code, 0, "{name}: {output}");
        let line = output
            .lines()
            .find(|line| line.split(' ').nth(4) == Some("/"))
            .unwrap();
        let tags: Vec<&str> = line
            .split(' ')
            .skip(6)
            .take_while(|field| *field != "-")
            .collect();
        assert!(
            if tag.is_empty() {
                !tags.iter().any(|t| t.starts_with("shared"))
            } else {
                tags[0].starts_with(tag)
            },
            "{name}: {line}"
        );
    }
    if is_ours() {
        let mut bench = Bench::new(&["true"]);
        bench.config["linux"]["rootfsPropagation"] = json!("sideways");
        assert!(bench.run().1.contains("sideways"));
    }
}

#[test]
fn cgroup_mounts() {
    if !is_ours() {
        return; // with the first hierarchy, which the peers use on a host with both, all this is another matter
    }
    let bench = Bench::script(
        "cat /proc/self/cgroup | tail -1; touch /sys/fs/cgroup/x 2>/dev/null || echo read-only",
    );
    let (code, output) = bench.run();
    assert!(code == 0 && output.ends_with("read-only\n"), "{output}");
    assert!(output.contains("0::/\n"), "{output}");
    let mut bench = Bench::script(
        "cat /sys/fs/cgroup/cgroup.procs | grep -c .; mkdir /sys/fs/cgroup/x 2>/dev/null || echo read-only; ls /sys/fs/cgroup",
    );
    bench.without_namespace("cgroup");
    bench.without_namespace("pid");
    let mounts = bench.config["mounts"].as_array_mut().unwrap();
    mounts.last_mut().unwrap()["options"] = json!(["nosuid", "rw"]);
    let (code, output) = bench.run();
    assert!(
        code == 0 && output.contains("read-only\n") && output.contains("cgroup.events"),
        "{output}"
    );
}

#[test]
fn masked_and_read_only_paths() {
    let mut bench = Bench::script(
        "ls /hidden | wc -l; wc -c </secret; echo x >/fixed/file || echo fixed; touch /hidden/x || echo empty",
    );
    fs::create_dir(bench.path("rootfs/hidden")).unwrap();
    fs::write(bench.path("rootfs/hidden/file"), "").unwrap();
    fs::write(bench.path("rootfs/secret"), "secret").unwrap();
    fs::create_dir(bench.path("rootfs/fixed")).unwrap();
    bench.config["linux"]["maskedPaths"] = json!(["/hidden", "/secret", "/absent"]);
    bench.config["linux"]["readonlyPaths"] = json!(["/fixed", "/absent"]);
    bench.config["process"]["args"][2] = json!(
        "ls /hidden | wc -l; wc -c </secret; touch /fixed/x 2>/dev/null || echo fixed; touch /hidden/x 2>/dev/null || echo empty"
    );
    assert_eq!(bench.run(), (0, "0\n0\nfixed\nempty\n".to_owned()));
}

#[test]
fn a_read_only_root() {
    let mut bench =
        Bench::script("pwd; touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo shm");
    bench.config["root"]["readonly"] = json!(true);
    bench.config["process"]["cwd"] = json!("/not/there");
    assert_eq!(bench.run(), (0, "/not/there\nread-only\nshm\n".to_owned()));
}

#[test]
fn devices() {
    let mut bench = Bench::script(
        "for n in null zero full random urandom tty; do stat -c '%F %a %t:%T' /dev/$n; done; \
         for n in fd stdin stdout stderr ptmx; do readlink /dev/$n; done; \
         stat -c '%F %a %u:%g %t:%T' /dev/own /dev/disk /dev/deep/er; stat -c '%F %a' /dev/fifo",
    );
    bench.config["linux"]["devices"] = json!([
        {"path": "/dev/own", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/disk", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600},
        {"path": "/dev/deep/er", "type": "u", "major": 1, "minor": 3, "fileMode": 0o622},
        {"path": "/dev/fifo", "type": "p", "major": 0, "minor": 0, "fileMode": 0o644},
    ]);
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let lines: Vec<&str> = output.lines().collect();
    let expected =
        ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"].map(|n| format!("character special file 666 {n}"));
    assert_eq!(lines[..6], expected);
    assert_eq!(
        lines[6..10],
        [
            "/proc/self/fd",
            "/proc/self/fd/0",
            "/proc/self/fd/1",
            "/proc/self/fd/2"
        ]
    );
    assert!(lines[10].ends_with("pts/ptmx"));
    assert_eq!(
        lines[11..],
        [
            "character special file 640 3:4 1:5",
            "block special file 600 0:0 7:c8",
            "character special file 622 0:0 1:3",
            "fifo 644"
        ]
    );
    // With the rootfs' own /dev: what is there stays.
    let made = fs::metadata(bench.path("rootfs/dev/null"));
    assert!(
        made.is_err() || !made.unwrap().file_type().is_char_device(),
        "nothing was made below the tmpfs"
    );
}
