//! The OCI command line, through its program. Needs root. The same tests run on a proven runtime when
//! `KEELSON_TEST_OCI_RUNTIME` names one (crun, runc): a test that it fails is a wrong test.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

#[path = "../node/busybox.rs"]
mod busybox;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A bundle and a runtime root of a test's own.
struct Bench {
    directory: tempfile::TempDir,
    config: Value,
    id: String,
}

impl Bench {
    fn new(args: &[&str]) -> Self {
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
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let runtime = std::env::var("KEELSON_TEST_OCI_RUNTIME");
        let mut command = Command::new(runtime.as_deref().unwrap_or(env!("CARGO_BIN_EXE_keelson-oci")));
        command.arg("--root").arg(self.path("state")).args(args);
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
        self.command(args).output().unwrap()
    }

    fn run(&self) -> (i32, String) {
        let output = self.output(&["run", "-b", self.directory.path().to_str().unwrap(), &self.id]);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    /// `create` with output that nobody waits for.
    fn create(&self) -> bool {
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

    fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> String {
        let state: Value = serde_json::from_str(&self.ok(&["state", &self.id])).unwrap();
        assert_eq!(state["id"], json!(self.id));
        state["status"].as_str().unwrap().to_owned()
    }

    fn wait_for(&self, status: &str) {
        for _ in 0..500 {
            if self.status() == status {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still {}", self.status());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force", &self.id]).output();
        let _ = fs::remove_dir("/sys/fs/cgroup/unified/keelson-test-oci");
    }
}

fn is_ours() -> bool {
    std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_none()
}

#[test]
fn run_to_the_end() {
    let bench = Bench::new(&["sh", "-c", "echo hello; hostname; id -u; exit 17"]);
    assert_eq!(bench.run(), (17, "hello\nkeelson\n0\n".to_owned()));
    assert!(
        !bench.path("state").join(&bench.id).exists(),
        "run removes the container"
    );
}

#[test]
fn the_life_of_a_container() {
    let bench = Bench::new(&["sh", "-c", "echo started; exec sleep 1000"]);
    assert!(bench.create());
    assert_eq!(bench.status(), "created");
    assert!(!bench.create(), "the id is taken");
    assert_eq!(
        fs::read_to_string(bench.path("out"))
            .unwrap()
            .lines()
            .filter(|l| *l == "started")
            .count(),
        0
    );
    bench.ok(&["start", &bench.id]);
    assert_eq!(bench.status(), "running");
    let pid: i32 = fs::read_to_string(bench.path("pid")).unwrap().parse().unwrap();
    let state: Value = serde_json::from_str(&bench.ok(&["state", &bench.id])).unwrap();
    assert_eq!(state["pid"], json!(pid));
    assert!(
        !bench
            .command(&["start", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(
        !bench
            .command(&["delete", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(bench.ok(&["list", "-q"]).contains(&bench.id));
    bench.ok(&["kill", &bench.id, "KILL"]);
    bench.wait_for("stopped");
    bench.ok(&["delete", &bench.id]);
    assert!(
        !bench
            .command(&["state", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(fs::read_to_string(bench.path("out")).unwrap().contains("started"));
}

#[test]
fn exec_in_a_container() {
    let bench = Bench::new(&["sleep", "1000"]);
    assert!(bench.create());
    bench.ok(&["start", &bench.id]);
    let output = bench
        .command(&[
            "exec",
            "-e",
            "A=b",
            "--cwd",
            "/tmp",
            &bench.id,
            "sh",
            "-c",
            "pwd; echo $A; cat /proc/self/status; exit 9",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.code() == Some(9) && text.starts_with("/tmp\nb\n"),
        "{text}"
    );
    let main = fs::read_to_string(format!(
        "/proc/{}/status",
        fs::read_to_string(bench.path("pid")).unwrap()
    ))
    .unwrap();
    for key in [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    ] {
        let line = main.lines().find(|l| l.starts_with(key)).unwrap();
        assert!(text.contains(line), "{line} not in {text}");
    }
    let missing = bench.command(&["exec", &bench.id, "nonsense"]).output().unwrap();
    assert!(!missing.status.success());
    for user in ["4294967296", "", "root", "-1"] {
        if is_ours() {
            assert!(
                !bench
                    .command(&["exec", &format!("--user={user}"), &bench.id, "id"])
                    .output()
                    .unwrap()
                    .status
                    .success(),
                "{user:?}"
            );
        }
    }
    assert!(bench.ok(&["ps", &bench.id]).contains("sleep"));
}

#[test]
fn a_program_that_is_not_there() {
    for (program, words) in [("nonsense", "executable file"), ("/no/such", "o such file")] {
        let bench = Bench::new(&[program]);
        let (code, text) = bench.run();
        assert!(code != 0 && text.contains(words), "{code} {text}");
        assert!(!bench.create());
        assert!(!bench.path("state").join(&bench.id).exists());
    }
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    let mut bench = Bench::new(&[
        "sh",
        "-c",
        "test -t 0 && test -c /dev/console && echo on a terminal; sleep 1000",
    ]);
    bench.config["process"]["terminal"] = json!(true);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let listener = UnixListener::bind(bench.path("console")).unwrap();
    let bundle = bench.directory.path().to_str().unwrap().to_owned();
    bench.ok(&[
        "create",
        "-b",
        &bundle,
        "--console-socket",
        bench.path("console").to_str().unwrap(),
        &bench.id,
    ]);
    let (socket, _) = listener.accept().unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    keelson_runtime::sys::receive_with_fds(socket.as_fd(), &mut [0; 64], &mut fds).unwrap();
    bench.ok(&["start", &bench.id]);
    let mut buffer = [0; 64];
    let n = keelson_runtime::sys::read_fd(fds[0].as_fd(), &mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("on a terminal"));
}

#[test]
fn what_is_not_supported_is_refused() {
    if !is_ours() {
        return;
    }
    let change: [fn(&mut Value); 6] = [
        |c| c["hooks"] = json!({"createRuntime": [{"path": "/bin/true"}]}),
        |c| c["process"]["apparmorProfile"] = json!("x"),
        |c| {
            c["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": "user"}));
        },
        |c| c["linux"]["sysctl"] = json!({"kernel.panic": "1"}),
        |c| c["process"]["cwd"] = json!("tmp"),
        |c| c["process"] = Value::Null,
    ];
    for change in change {
        let mut bench = Bench::new(&["true"]);
        change(&mut bench.config);
        let (code, text) = bench.run();
        assert!(code == 1 && text.contains("keelson runtime: "), "{text}");
    }
    let bench = Bench::new(&["true"]);
    for id in ["", "..", "a/b"] {
        assert!(
            !bench
                .output(&["run", "-b", bench.directory.path().to_str().unwrap(), "--", id])
                .status
                .success(),
            "{id}"
        );
    }
}

#[test]
fn capabilities_are_exactly_those_named() {
    let mut bench = Bench::new(&["cat", "/proc/self/status"]);
    bench.config["process"]["capabilities"] = Value::Null;
    let (_, text) = bench.run();
    assert!(
        text.contains("CapBnd:\t0000000000000000") && text.contains("CapEff:\t0000000000000000"),
        "{text}"
    );
}

#[test]
fn errors_go_to_the_log() {
    let bench = Bench::new(&["nonsense"]);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let log = bench.path("log.json");
    let args = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "run",
        "-b",
        bench.directory.path().to_str().unwrap(),
        &bench.id,
    ];
    assert!(!bench.command(&args).output().unwrap().status.success());
    let line: Value =
        serde_json::from_str(fs::read_to_string(&log).unwrap().lines().last().unwrap()).unwrap();
    assert!(
        line["msg"].as_str().unwrap().contains("executable file"),
        "{line}"
    );
}

#[test]
fn the_callers_program_is_not_the_containers() {
    let own = Path::new(env!("CARGO_BIN_EXE_keelson-oci"));
    let before = fs::read(own).unwrap();
    let bench = Bench::new(&["/bin/evil"]);
    fs::write(bench.path("rootfs/bin/evil"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(
        bench.path("rootfs/bin/evil"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let (code, _) = bench.run();
    assert!(code != 0 && fs::read(own).unwrap() == before);
}
