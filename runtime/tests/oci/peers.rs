//! The runtime under podman and containerd, as they are: only the runtime's path is ours. What is not installed is
//! skipped, and said; with `KEELSON_TEST_PEERS` in the environment (CI) it has to be there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Bench, is_ours};

/// Whether a peer is there; tests on another runtime have no business here.
fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found && is_ours()
}

fn skip(why: &str) {
    assert!(std::env::var_os("KEELSON_TEST_PEERS").is_none(), "{why}");
    println!("skipped: {why}");
}

fn seen(output: &Output) -> (Option<i32>, String) {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// podman with storage of its own below the bench.
struct Podman<'a> {
    bench: &'a Bench,
}

impl Podman<'_> {
    fn call(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new("podman")
            .arg("--root")
            .arg(self.bench.path("podman"))
            .arg("--runroot")
            .arg(self.bench.path("podman-run"))
            .args([
                "--storage-driver=vfs",
                "--cgroup-manager=cgroupfs",
                "--events-backend=file",
            ])
            .args(["--runtime", env!("CARGO_BIN_EXE_keelson-oci")])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        seen(&output)
    }

    /// `run` with the options that a root without CAP_SYS_RESOURCE needs.
    fn run(&self, options: &[&str], command: &[&str]) -> (Option<i32>, String) {
        let rootfs = self.bench.path("rootfs");
        let limits = [
            "run",
            "--network=none",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=4096:4096",
        ];
        let root = ["--rootfs", rootfs.to_str().unwrap()];
        self.call(&[&limits[..], options, &root, command].concat())
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        self.call(&["rm", "--all", "--force", "--time=0"]);
    }
}

#[test]
fn podman() {
    if !have("podman") {
        return;
    }
    let bench = Bench::new(&["true"]);
    let podman = Podman { bench: &bench };
    let (code, text) = podman.run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert!(
        code == Some(7) && text.contains("out") && text.contains("err"),
        "{code:?} {text}"
    );
    let (code, text) = podman.run(&["--rm"], &["/nonsense"]);
    assert_eq!(code, Some(127), "{text}");
    let (code, text) = podman.run(&["--rm"], &["/etc"]);
    assert_eq!(code, Some(126), "{text}");
    let (code, text) = podman.run(&["--rm", "--tty"], &["tty"]);
    assert!(code == Some(0) && text.contains("/dev/pts/"), "{text}");
    let (code, text) = podman.run(&["-d", "--name=c", "--user=5:6"], &["sleep", "1000"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = podman.call(&["exec", "c", "sh", "-c", "id -u; exit 5"]);
    assert!(code == Some(5) && text.starts_with("5\n"), "{text}");
    assert_eq!(podman.call(&["exec", "c", "nonsense"]).0, Some(127));
    for (verb, status) in [("pause", "paused"), ("unpause", "running")] {
        assert_eq!(podman.call(&[verb, "c"]).0, Some(0), "{verb}");
        let (_, text) = podman.call(&["inspect", "--format", "{{.State.Status}}", "c"]);
        assert_eq!(text.trim(), status);
    }
    assert_eq!(podman.call(&["stop", "--time=0", "c"]).0, Some(0));
    let (_, text) = podman.call(&["inspect", "--format", "{{.State.ExitCode}}", "c"]);
    assert_eq!(text.trim(), "137");
    assert_eq!(podman.call(&["start", "c"]).0, Some(0));
    assert_eq!(podman.call(&["rm", "--force", "--time=0", "c"]).0, Some(0));
}

/// A containerd of the test's own.
struct Containerd {
    child: Child,
    socket: String,
}

impl Containerd {
    fn start(directory: &Path) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
             \"io.containerd.internal.v1.opt\"]\n[grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n",
            path("root"),
            path("run"),
            path("c"),
            path("t")
        );
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("config.toml"), config).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut child = Command::new("containerd")
            .args(["--config", &path("config.toml")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while !directory.join("c").exists() {
            let ended = child.try_wait().unwrap();
            let log = || fs::read_to_string(directory.join("log")).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?} {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20)); // it does not tell when it serves
        }
        Self {
            child,
            socket: path("c"),
        }
    }

    fn call(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new("timeout");
        command.args(["60", "ctr", "--address", &self.socket]).args(args);
        seen(&command.stdin(Stdio::null()).output().unwrap())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn containerd() {
    if !have("containerd") || !have("ctr") {
        return;
    }
    let bench = Bench::new(&["true"]);
    let containerd = Containerd::start(&bench.path("d"));
    let rootfs = bench.path("rootfs");
    let id = |n: &str| format!("{}-{n}", bench.id);
    let run = |options: &[&str], name: &str, command: &[&str]| {
        let binary = [
            "--runc-binary",
            env!("CARGO_BIN_EXE_keelson-oci"),
            "--runtime",
            "io.containerd.runc.v2",
        ];
        let root = ["--rootfs", rootfs.to_str().unwrap(), name];
        containerd.call(&[&["run"], options, &binary, &root, command].concat())
    };
    let (code, text) = run(&["--rm"], &id("a"), &["/bin/sh", "-c", "echo out; exit 6"]);
    assert!(code == Some(6) && text.contains("out"), "{code:?} {text}");
    let (code, text) = run(&["--rm"], &id("b"), &["/nonsense"]);
    assert!(
        code == Some(1) && text.contains("no such file or directory"),
        "{text}"
    );
    let name = id("c");
    assert_eq!(run(&["-d"], &name, &["/bin/sleep", "1000"]).0, Some(0));
    let (code, text) = containerd.call(&[
        "task",
        "exec",
        "--exec-id=e",
        &name,
        "/bin/sh",
        "-c",
        "echo in; exit 4",
    ]);
    assert!(code == Some(4) && text.contains("in"), "{code:?} {text}");
    let state = || containerd.call(&["task", "ls"]).1;
    for (verb, status) in [("pause", "PAUSED"), ("resume", "RUNNING")] {
        assert_eq!(containerd.call(&["task", verb, &name]).0, Some(0), "{verb}");
        assert!(state().contains(status), "{}", state());
    }
    assert_eq!(containerd.call(&["task", "ps", &name]).0, Some(0));
    assert_eq!(
        containerd.call(&["task", "kill", "--signal=KILL", &name]).0,
        Some(0)
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while !state().contains("STOPPED") {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::sleep(Duration::from_millis(50));
    }
    containerd.call(&["task", "delete", &name]);
    assert_eq!(containerd.call(&["container", "rm", &name]).0, Some(0));
}

/// A user of the test's own, with subordinate ids.
struct User(String);

impl User {
    fn new() -> Self {
        let name = format!("klt{}", std::process::id());
        let made = Command::new("useradd")
            .args(["--create-home", "--shell=/bin/sh", &name])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let user = Self(name);
        // Its pods' sockets and state; and the programs, which it may otherwise not reach.
        user.install(&user.runtime_dir(), "0700");
        user
    }

    fn home(&self) -> std::path::PathBuf {
        Path::new("/home").join(&self.0)
    }

    fn runtime_dir(&self) -> std::path::PathBuf {
        self.home().join("run")
    }

    fn install(&self, directory: &Path, mode: &str) {
        let status = Command::new("install")
            .args(["-d", "-o", &self.0, "-m", mode])
            .arg(directory)
            .status();
        assert!(status.unwrap().success());
    }

    fn sh(&self, script: &str) -> (Option<i32>, String) {
        let script = format!(
            "cd; export XDG_RUNTIME_DIR={}; {script}",
            self.runtime_dir().display()
        );
        seen(
            &Command::new("su")
                .args([&self.0, "-c", &script])
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // podman leaves a process that keeps the user's namespaces.
        let home = fs::metadata(self.home()).map(|home| home.uid());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok());
            let owner = entry.metadata().map(|process| process.uid());
            if let (Some(pid), Ok(owner), Ok(home)) = (pid, owner, &home)
                && owner == *home
            {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
        let _ = Command::new("userdel")
            .args(["--remove", "--force", &self.0])
            .output();
    }
}

#[test]
fn rootless_podman() {
    if !have("podman") || !is_ours() {
        return;
    }
    if !Path::new("/usr/bin/newuidmap").exists() || !Path::new("/usr/sbin/useradd").exists() {
        skip("no newuidmap (package uidmap) or useradd");
        return;
    }
    let user = User::new();
    let rootfs = user.home().join("rootfs");
    crate::busybox::install(&rootfs);
    let runtime = user.home().join("keelson-oci");
    fs::copy(env!("CARGO_BIN_EXE_keelson-oci"), &runtime).unwrap();
    let owned = Command::new("chown")
        .args(["-R", &user.0])
        .arg(&rootfs)
        .arg(&runtime)
        .status();
    assert!(owned.unwrap().success());
    let podman = format!(
        "podman --cgroup-manager=cgroupfs --events-backend=file --runtime {}",
        runtime.display()
    );
    let run = |options: &str, command: &str| {
        let limits = "--network=none --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096";
        let rootfs = rootfs.display();
        user.sh(&format!(
            "{podman} run {limits} {options} --rootfs {rootfs} {command}"
        ))
    };
    let (code, text) = run("--rm", "sh -c 'echo out; id -u; exit 7'");
    assert!(code == Some(7) && text.contains("out\n0\n"), "{code:?} {text}");
    let (code, text) = run("--rm --userns=keep-id", "id -u");
    assert!(code == Some(0) && !text.contains("\n0\n"), "{code:?} {text}");
    let (code, text) = run("--rm --tty", "tty");
    assert!(code == Some(0) && text.contains("/dev/pts/"), "{code:?} {text}");
    let (code, text) = run("--detach --name=c", "sleep 1000");
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = user.sh(&format!("{podman} exec c sh -c 'id -u; exit 5'"));
    assert!(code == Some(5) && text.contains("0\n"), "{code:?} {text}");
    let (code, text) = user.sh(&format!("{podman} rm --force --time=0 c"));
    assert_eq!(code, Some(0), "{text}");
    let (_, left) = user.sh(&format!("ls {}/keelson-oci", user.runtime_dir().display()));
    assert_eq!(left, "");
}
