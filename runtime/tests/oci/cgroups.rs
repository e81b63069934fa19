//! Limits where they can be: on hosts whose cgroup v2 hierarchy has controllers (`make test-vm` has such machines).
//! Elsewhere every test says that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

/// The hierarchy, if all the controllers are in it.
fn hierarchy() -> Option<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup");
    let text = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    let all = ["cpu", "memory", "pids", "io", "cpuset"]
        .iter()
        .all(|name| text.contains(name));
    if !all {
        println!("skipped: this host's cgroup v2 hierarchy lacks controllers");
    }
    all.then(|| mount.to_owned())
}

fn with(resources: Value, command: &[&str]) -> Bench {
    let mut bench = Bench::new(command);
    bench.config["linux"]["resources"] = resources;
    bench
}

fn cgroup(bench: &Bench) -> PathBuf {
    Path::new("/sys/fs/cgroup/keelson-test-oci").join(&bench.id)
}

fn read(bench: &Bench, file: &str) -> String {
    fs::read_to_string(cgroup(bench).join(file))
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn every_limit_is_in_its_file() {
    let Some(_) = hierarchy() else { return };
    let bench = with(
        json!({
            "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 8 << 20},
            "cpu": {"shares": 2048, "quota": 20_000, "period": 50_000, "burst": 1000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 17},
            "unified": {"memory.high": "33554432"},
        }),
        &["sleep", "1000"],
    );
    assert!(
        bench.create(),
        "{}",
        fs::read_to_string(bench.path("out")).unwrap()
    );
    assert_eq!(read(&bench, "memory.max"), (64 << 20).to_string());
    assert_eq!(read(&bench, "memory.low"), (8 << 20).to_string());
    assert_eq!(read(&bench, "memory.high"), "33554432");
    assert_eq!(read(&bench, "cpu.max"), "20000 50000");
    assert_eq!(read(&bench, "pids.max"), "17");
    assert_eq!(read(&bench, "cpuset.cpus"), "0");
    let swap = cgroup(&bench).join("memory.swap.max");
    if swap.exists() {
        assert_eq!(read(&bench, "memory.swap.max"), (32 << 20).to_string());
    }
    if std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_none() {
        assert_eq!(
            read(&bench, "cpu.weight"),
            "174",
            "the newer curve, which old peers do not have"
        );
        assert_eq!(read(&bench, "cpu.max.burst"), "1000");
    }
    bench.ok(&[
        "update",
        "--memory",
        "32m",
        "--memory-swap",
        "32m",
        "--pids-limit",
        "9",
        "--cpu-quota",
        "10000",
        &bench.id,
    ]);
    assert_eq!(read(&bench, "memory.max"), (32 << 20).to_string());
    assert_eq!(read(&bench, "pids.max"), "9");
    assert_eq!(read(&bench, "cpu.max"), "10000 50000");
    bench.ok(&["delete", "--force", &bench.id]);
    assert!(!cgroup(&bench).exists());
}

#[test]
fn limits_hold() {
    let Some(_) = hierarchy() else { return };
    // A string of doubling length: whatever is needed to hold it is over the limit.
    let hungry = with(
        json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}}),
        &["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
    );
    assert_eq!(hungry.run().0, 128 + libc::SIGKILL);
    let forks = with(
        json!({"pids": {"limit": 8}}),
        &[
            "sh",
            "-c",
            "n=0; while [ $n -lt 50 ]; do sleep 1000 & n=$((n+1)); done; echo all",
        ],
    );
    let (code, text) = forks.run();
    assert!(code != 0 && !text.contains("all\n"), "{code} {text}");
}

#[test]
fn a_missing_controller_is_an_error() {
    let Some(_) = hierarchy() else { return };
    let bench = with(json!({"unified": {"nonsense.max": "1"}}), &["true"]);
    let (code, text) = bench.run();
    assert!(code != 0 && text.contains("nonsense"), "{text}");
    assert!(!cgroup(&bench).exists());
}

#[test]
fn nested_and_exec() {
    let Some(_) = hierarchy() else { return };
    let mut bench = with(json!({}), &["sleep", "1000"]);
    let path = format!("/keelson-test-oci/{}-nested/a/b", bench.id);
    bench.config["linux"]["cgroupsPath"] = json!(path);
    bench.config["linux"]["resources"] = json!({"pids": {"limit": 30}});
    assert!(
        bench.create(),
        "{}",
        fs::read_to_string(bench.path("out")).unwrap()
    );
    bench.ok(&["start", &bench.id]);
    let top = Path::new("/sys/fs/cgroup").join(&path[1..]);
    assert_eq!(fs::read_to_string(top.join("pids.max")).unwrap().trim(), "30");
    fs::create_dir(top.join("sub")).unwrap();
    let text = bench.ok(&["exec", "--cgroup", "sub", &bench.id, "cat", "/proc/self/cgroup"]);
    assert_eq!(text.trim(), "0::/sub");
    let text = bench.ok(&["exec", &bench.id, "cat", "/proc/self/cgroup"]);
    assert_eq!(text.trim(), "0::/");
    bench.ok(&["delete", "--force", &bench.id]);
    assert!(!top.exists(), "with those below");
    for parent in [top.parent().unwrap(), top.parent().unwrap().parent().unwrap()] {
        fs::remove_dir(parent).unwrap();
    }
}

#[test]
fn devices_are_denied_and_allowed() {
    let Some(_) = hierarchy() else { return };
    let script = "mknod /dev/m c 1 1; mknod /dev/f c 1 11; head -c 1 /dev/m >/dev/null 2>&1; echo mem $?; \
        head -c 1 /dev/zero >/dev/null; echo zero $?; echo x >/dev/f 2>/dev/null; echo kmsg $?";
    let run = |devices: Value| {
        let mut bench = with(json!({ "devices": devices }), &["sh", "-c", script]);
        for set in ["bounding", "effective", "permitted"] {
            bench.config["process"]["capabilities"][set] =
                json!(["CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYSLOG"]);
        }
        bench.run().1
    };
    let text = run(json!([{"allow": false, "access": "rwm"}]));
    assert!(
        text.contains("mem 1") && text.contains("zero 0") && text.contains("kmsg 1"),
        "{text}"
    );
    let rules =
        json!([{"allow": true, "access": "rwm"}, {"allow": false, "type": "c", "major": 1, "minor": 1}]);
    let text = run(rules);
    assert!(
        text.contains("mem 1") && text.contains("zero 0") && text.contains("kmsg 0"),
        "{text}"
    );
}

/// Scopes of a running systemd that owns the hierarchy (in a machine, or a container made for that).
#[test]
fn systemd_scopes() {
    let owned =
        Path::new("/run/systemd/system").exists() && Path::new("/sys/fs/cgroup/cgroup.procs").exists();
    // Where it is known to be there (`make test-vm`), nothing is left out.
    let promised = std::env::var_os("KEELSON_TEST_SYSTEMD").is_some();
    if !is_ours() || !(owned || promised) {
        println!("skipped: no systemd that owns a cgroup v2 hierarchy");
        return;
    }
    let mut bench = Bench::new(&["sleep", "1000"]);
    let name = format!("kl-{}.scope", bench.id);
    bench.config["linux"]["cgroupsPath"] = json!(format!("machine-x.slice:kl:{}", bench.id));
    bench.config["annotations"] = json!({"org.systemd.property.TimeoutStopSec": "uint64 7"});
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let show = |property: &str| {
        let output = std::process::Command::new("systemctl")
            .args(["show", "--value", "-p", property, &name])
            .output();
        String::from_utf8(output.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    let mut create = bench.command(&["--systemd-cgroup", "create", "-b", bundle, &bench.id]);
    let null = std::process::Stdio::null; // not pipes, which the container would keep open
    assert!(
        create
            .stdin(null())
            .stdout(null())
            .stderr(null())
            .status()
            .unwrap()
            .success()
    );
    bench.ok(&["start", &bench.id]);
    assert_eq!(show("ActiveState"), "active");
    assert_eq!(show("TimeoutStopUSec"), "7s");
    assert_eq!(
        show("ControlGroup"),
        format!("/machine.slice/machine-x.slice/{name}")
    );
    assert_eq!(show("Delegate"), "yes");
    let text = bench.ok(&["exec", &bench.id, "cat", "/proc/self/cgroup"]);
    assert!(text.ends_with("0::/\n"), "{text}");
    bench.ok(&["delete", "--force", &bench.id]);
    assert_eq!(show("ActiveState"), "inactive");
    assert!(
        !Path::new("/sys/fs/cgroup/machine.slice/machine-x.slice")
            .join(&name)
            .exists()
    );
}
