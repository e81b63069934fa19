//! Limits of an OCI configuration, through the command line. `KEELSON_TEST_OCI_RUNTIME` names another runtime to run the
//! same on (crun).

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{busybox, eventually, keyed, read};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A bundle whose container is started and deleted by the test.
struct Container {
    directory: tempfile::TempDir,
    config: Value,
    id: String,
}

impl Container {
    fn new(script: &str, resources: Value) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-test-")
            .tempdir_in("/tmp")
            .unwrap();
        busybox::install(&directory.path().join("rootfs"));
        let id = format!("limits-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let spec = Command::new(env!("CARGO_BIN_EXE_keelson-oci"))
            .args(["spec", "-b"])
            .arg(directory.path())
            .output()
            .unwrap();
        assert!(spec.status.success());
        let mut config: Value =
            serde_json::from_slice(&fs::read(directory.path().join("config.json")).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        config["root"]["readonly"] = json!(false);
        config["linux"]["cgroupsPath"] = json!(format!("/keelson-test-limits/{id}"));
        config["linux"]["resources"] = resources;
        Self {
            directory,
            config,
            id,
        }
    }

    fn cgroup(&self) -> PathBuf {
        Path::new("/sys/fs/cgroup/keelson-test-limits").join(&self.id)
    }

    fn command(&self, args: &[&str]) -> Command {
        let runtime = std::env::var("KEELSON_TEST_OCI_RUNTIME");
        let mut command = Command::new(runtime.as_deref().unwrap_or(env!("CARGO_BIN_EXE_keelson-oci")));
        command
            .arg("--root")
            .arg(self.directory.path().join("state"))
            .args(args);
        command
    }

    fn runs(&self) -> Command {
        fs::write(self.directory.path().join("config.json"), self.config.to_string()).unwrap();
        self.command(&["run", "-b", self.directory.path().to_str().unwrap(), &self.id])
    }

    /// Runs to the end: exit code, output, and how long it took.
    fn run(&self) -> (i32, String, Duration) {
        let begin = Instant::now();
        let output = self.runs().output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text.into_owned(), begin.elapsed())
    }

    /// Runs in the background until the guard's end.
    fn start(&self) -> Running<'_> {
        let child = self.runs().stdout(Stdio::null()).spawn().unwrap();
        // Not by its processes: a runtime may write limits after it has made them.
        eventually("the container runs", || {
            let output = self.command(&["state", &self.id]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains("\"running\"")
        });
        Running {
            container: self,
            child,
        }
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

struct Running<'a> {
    container: &'a Container,
    child: std::process::Child,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self
            .container
            .command(&["delete", "--force", &self.container.id])
            .status();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn memory() {
    let resources = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    let hungry = Container::new("dd if=/dev/zero of=/dev/null bs=200M count=1", resources.clone());
    let (code, output, _) = hungry.run();
    assert_eq!(code, 137, "{output}");
    let modest = Container::new(
        "cat /proc/self/cgroup; dd if=/dev/zero of=/dev/null bs=8M count=1",
        resources,
    );
    let (code, output, _) = modest.run();
    assert_eq!(code, 0, "{output}");
    let running = Container::new(
        "sleep 1000",
        json!({"memory": {"limit": 32 << 20, "reservation": 16 << 20}}),
    );
    let _running = running.start();
    assert_eq!(read(&running.cgroup(), "memory.max"), (32 << 20).to_string());
    assert_eq!(read(&running.cgroup(), "memory.low"), (16 << 20).to_string());
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn events_report_the_want_of_memory() {
    if std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_some() {
        return; // crun has no such command
    }
    // The hungry one is a child, so that the container goes on, and somebody may listen.
    let hungry = Container::new(
        "for n in 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1; done",
        json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}),
    );
    let _running = hungry.start();
    let mut events = hungry
        .command(&["events", "--interval", "100s", &hungry.id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let mut kinds = lines.map(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(event["id"], json!(hungry.id));
        event["type"].as_str().unwrap().to_owned()
    });
    // It ends with the container, so that this does.
    let seen = kinds.any(|kind| kind == "oom");
    events.kill().unwrap();
    events.wait().unwrap();
    assert!(seen, "no event of type oom");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn cpu() {
    let busy = Container::new(
        "while :; do :; done",
        json!({"cpu": {"quota": 20_000, "period": 100_000, "shares": 512}}),
    );
    let _running = busy.start();
    let cgroup = busy.cgroup();
    assert_eq!(read(&cgroup, "cpu.max"), "20000 100000");
    let (begin, before) = (Instant::now(), keyed(&cgroup, "cpu.stat", "usage_usec"));
    std::thread::sleep(Duration::from_secs(4));
    let used = keyed(&cgroup, "cpu.stat", "usage_usec") - before;
    let share = used as f64 / begin.elapsed().as_micros() as f64;
    assert!((0.14..0.26).contains(&share), "{share}");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn cpuset() {
    let container = Container::new(
        "grep Cpus_allowed_list /proc/self/status",
        json!({"cpu": {"cpus": "1", "mems": "0"}}),
    );
    let (code, output, _) = container.run();
    assert_eq!(code, 0, "{output}");
    assert_eq!(output.split_whitespace().last(), Some("1"), "{output}");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn pids() {
    // Throttled, so that it leaves this test something of an emulated processor; behind a first process that does not fork,
    // for a shell that cannot ends.
    let bomb = Container::new(
        "bomb() { bomb | bomb & }; bomb 2>/dev/null & exec sleep 1000",
        json!({"pids": {"limit": 20}, "cpu": {"quota": 30_000, "period": 100_000}}),
    );
    let _running = bomb.start();
    let cgroup = bomb.cgroup();
    eventually("forks are refused", || keyed(&cgroup, "pids.events", "max") > 5);
    assert!(read(&cgroup, "pids.current").parse::<u32>().unwrap() <= 20);
}

/// `KEELSON_TEST_DISK` is a directory on a disk of its own.
#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn io() {
    let disk = std::env::var("KEELSON_TEST_DISK").unwrap_or_else(|_| "/disk0".to_owned());
    let device = fs::metadata(&disk).unwrap().dev();
    let (major, minor) = (nix::libc::major(device), nix::libc::minor(device));
    let script = "dd if=/dev/zero of=/data/full bs=64k count=64 oflag=direct 2>&1";
    let run = |rate: Option<u64>| {
        let resources = match rate {
            Some(rate) => {
                json!({"blockIO": {"throttleWriteBpsDevice": [{"major": major, "minor": minor, "rate": rate}]}})
            }
            None => json!({}),
        };
        let mut container = Container::new(script, resources);
        let mounts = container.config["mounts"].as_array_mut().unwrap();
        mounts.push(
            json!({"destination": "/data", "type": "bind", "source": disk, "options": ["rbind", "rw"]}),
        );
        let (code, output, took) = container.run();
        assert_eq!(code, 0, "{output}");
        took
    };
    let free = run(None);
    // 4 MiB at 1 MiB a second; the kernel lets the first slice pass at once.
    let slow = run(Some(1 << 20));
    assert!(
        slow > Duration::from_millis(2500),
        "free: {free:?}, limited: {slow:?}"
    );
    assert!(free < slow / 2, "free: {free:?}, limited: {slow:?}");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn update() {
    let container = Container::new(
        "sleep 1000",
        json!({"memory": {"limit": 32 << 20}, "pids": {"limit": 50}}),
    );
    let _running = container.start();
    let cgroup = container.cgroup();
    container.ok(&[
        "update",
        "--memory",
        "67108864",
        "--pids-limit",
        "70",
        &container.id,
    ]);
    assert_eq!(read(&cgroup, "memory.max"), "67108864");
    assert_eq!(read(&cgroup, "pids.max"), "70");
}

#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn freezing() {
    let container = Container::new("while :; do :; done", json!({}));
    let _running = container.start();
    let cgroup = container.cgroup();
    container.ok(&["pause", &container.id]);
    eventually("it is frozen", || keyed(&cgroup, "cgroup.events", "frozen") == 1);
    assert!(container.ok(&["state", &container.id]).contains("\"paused\""));
    let before = keyed(&cgroup, "cpu.stat", "usage_usec");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(keyed(&cgroup, "cpu.stat", "usage_usec"), before);
    container.ok(&["resume", &container.id]);
    eventually("it goes on", || keyed(&cgroup, "cpu.stat", "usage_usec") > before);
}

/// Raw values, and a file that does not exist is an error and no silence.
#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn unified() {
    let container = Container::new(
        "sleep 1000",
        json!({"unified": {"memory.high": "50331648", "cpu.idle": "1"}}),
    );
    let running = container.start();
    assert_eq!(read(&container.cgroup(), "memory.high"), "50331648");
    assert_eq!(read(&container.cgroup(), "cpu.idle"), "1");
    drop(running);
    let wrong = Container::new("true", json!({"unified": {"memory.nothing": "1"}}));
    let (code, output, _) = wrong.run();
    assert!(code != 0 && output.contains("memory.nothing"), "{code}: {output}");
}

/// Huge pages of a file system of their own: two of the machine's eight, and no third one.
#[test]
#[ignore = "needs cgroup v2 controllers: make test-vm"]
fn hugetlb() {
    fs::write("/proc/sys/vm/nr_hugepages", "8").unwrap();
    let mut container = Container::new(
        "fallocate -l 4194304 /huge/two && ! fallocate -l 2097152 /huge/third && sleep 1000",
        json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}),
    );
    container.config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/huge", "type": "hugetlbfs", "source": "hugetlbfs", "options": ["pagesize=2M"]}));
    let _running = container.start();
    let cgroup = container.cgroup();
    assert_eq!(read(&cgroup, "hugetlb.2MB.max"), (4 << 20).to_string());
    eventually("the third page was refused", || {
        keyed(&cgroup, "hugetlb.2MB.events", "max") > 0
    });
    assert_eq!(read(&cgroup, "hugetlb.2MB.current"), (4 << 20).to_string());
    if std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_none() {
        let stats: Value =
            serde_json::from_str(&container.ok(&["events", "--stats", &container.id])).unwrap();
        assert_eq!(
            stats["data"]["hugetlb"]["2MB"]["usage"],
            json!(4 << 20),
            "{stats}"
        );
    }
}
