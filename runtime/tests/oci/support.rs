//! A bundle per test, and the runtime under test.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::busybox;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A bundle and a runtime root of a test's own.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: Value,
    pub(crate) id: String,
    /// Command in front of the runtime's.
    pub(crate) through: Vec<String>,
}

impl Bench {
    pub(crate) fn new(args: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-test-")
            .tempdir_in("/tmp")
            .unwrap();
        busybox::install(&directory.path().join("rootfs"));
        let id = format!(
            "keelson-test-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let template = directory.path().join("template");
        fs::create_dir(&template).unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_keelson-oci"))
            .args(["spec", "-b"])
            .arg(&template)
            .status()
            .unwrap();
        assert!(status.success());
        let mut config: Value =
            serde_json::from_slice(&fs::read(template.join("config.json")).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(args);
        config["root"]["readonly"] = json!(false);
        config["linux"]["cgroupsPath"] = json!(format!("/keelson-test-oci/{id}"));
        Self {
            directory,
            config,
            id,
            through: Vec::new(),
        }
    }

    /// A container that runs a shell script.
    pub(crate) fn script(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    /// Adds a mount.
    pub(crate) fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) {
        let mount = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// Gives the container another namespace, new or existing.
    pub(crate) fn namespace(&mut self, kind: &str, path: Option<&str>) {
        let all = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        all.retain(|namespace| namespace["type"] != kind);
        all.push(match path {
            Some(path) => json!({"type": kind, "path": path}),
            None => json!({"type": kind}),
        });
    }

    /// Leaves the container in the host's namespace.
    pub(crate) fn without_namespace(&mut self, kind: &str) {
        let all = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        all.retain(|namespace| namespace["type"] != kind);
    }

    /// Lets the container's root be this user of the host, who then owns the bundle.
    pub(crate) fn owned_by(&self, owner: u32) {
        let path = self.directory.path();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let status = Command::new("chown")
            .arg("-R")
            .arg(format!("{owner}:{owner}"))
            .arg(path)
            .status();
        assert!(status.unwrap().success());
    }

    /// Creates and starts the container, which goes on.
    pub(crate) fn start(&self) {
        assert!(
            self.create(),
            "{}",
            fs::read_to_string(self.path("out")).unwrap_or_default()
        );
        self.ok(&["start", &self.id]);
    }

    /// Process id of the first process, of a container that was created.
    pub(crate) fn pid(&self) -> i32 {
        fs::read_to_string(self.path("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = runtime();
        if let Some((first, rest)) = self.through.split_first() {
            let inner = std::mem::replace(&mut command, Command::new(first));
            command.args(rest).arg(inner.get_program()).args(inner.get_args());
        }
        command.arg("--root").arg(self.path("state")).args(args);
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
        self.command(args).output().unwrap()
    }

    pub(crate) fn run(&self) -> (i32, String) {
        let output = self.output(&["run", "-b", self.directory.path().to_str().unwrap(), &self.id]);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    /// `create` with output that nobody waits for.
    pub(crate) fn create(&self) -> bool {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
        let out = || {
            fs::File::options()
                .append(true)
                .create(true)
                .open(self.path("out"))
                .unwrap()
        };
        let bundle = self.directory.path().to_str().unwrap();
        let mut command = self.command(&[
            "create",
            "-b",
            bundle,
            "--pid-file",
            self.path("pid").to_str().unwrap(),
            &self.id,
        ]);
        command
            .stdin(std::process::Stdio::null())
            .stdout(out())
            .stderr(out())
            .status()
            .unwrap()
            .success()
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn status(&self) -> String {
        let state: Value = serde_json::from_str(&self.ok(&["state", &self.id])).unwrap();
        assert_eq!(state["id"], json!(self.id));
        state["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn wait_for(&self, status: &str) {
        for _ in 0..500 {
            if self.status() == status {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still {}", self.status());
    }
}

/// The runtime under test. crun does not run on a host with both cgroup hierarchies: there it is given a mount namespace
/// without the second.
pub(crate) fn runtime() -> Command {
    let Ok(peer) = std::env::var("KEELSON_TEST_OCI_RUNTIME") else {
        return Command::new(env!("CARGO_BIN_EXE_keelson-oci"));
    };
    if !is_crun() || !Path::new("/sys/fs/cgroup/unified").exists() {
        return Command::new(peer);
    }
    let mut command = Command::new("unshare");
    let script = r#"umount /sys/fs/cgroup/unified 2>/dev/null; exec "$0" "$@""#;
    command.args(["-m", "--propagation", "slave", "sh", "-c", script, &peer]);
    command
}

/// Runs a container with a terminal; what it wrote there.
pub(crate) fn on_a_terminal(bench: &Bench) -> String {
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let listener = UnixListener::bind(bench.path("console")).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let socket = bench.path("console");
    bench.ok(&[
        "create",
        "-b",
        bundle,
        "--console-socket",
        socket.to_str().unwrap(),
        &bench.id,
    ]);
    let (socket, _) = listener.accept().unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    keelson_runtime::sys::receive_with_fds(socket.as_fd(), &mut [0; 64], &mut fds).unwrap();
    bench.ok(&["start", &bench.id]);
    let mut output = Vec::new();
    let mut buffer = [0; 1024];
    // EIO when the last process of the terminal has ended.
    while let Ok(n @ 1..) = keelson_runtime::sys::read_fd(fds[0].as_fd(), &mut buffer) {
        output.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&output).into_owned()
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force", &self.id]).output();
        let _ = fs::remove_dir("/sys/fs/cgroup/unified/keelson-test-oci");
    }
}

pub(crate) fn is_crun() -> bool {
    std::env::var("KEELSON_TEST_OCI_RUNTIME").is_ok_and(|peer| peer.ends_with("crun"))
}

pub(crate) fn is_ours() -> bool {
    std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_none()
}
