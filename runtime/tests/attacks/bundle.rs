//! An OCI bundle and runtime root of a test's own, driven through the command line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::runtimes::Runtime;
use crate::witness::Treasure;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Exit status and everything printed.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub text: String,
}

impl Outcome {
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

/// A container that will be, is, or was.
pub struct Bundle {
    pub directory: tempfile::TempDir,
    pub config: Value,
    pub id: String,
    pub runtime: Runtime,
    pub treasure: Treasure,
}

pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

fn config(args: &[&str], cgroup: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "hostname": "victim",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": DEFAULT_CAPABILITIES,
                "effective": DEFAULT_CAPABILITIES,
                "permitted": DEFAULT_CAPABILITIES,
            },
        },
        "root": { "path": "rootfs", "readonly": false },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" }, { "type": "cgroup" }],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

impl Bundle {
    pub fn new(runtime: &Runtime, args: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-attack-")
            .tempdir_in("/tmp")
            .unwrap();
        crate::busybox::install(&directory.path().join("rootfs"));
        let id = format!(
            "keelson-attack-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        Self {
            treasure: Treasure::in_directory(directory.path()),
            config: config(args, &format!("/{id}")),
            runtime: runtime.clone(),
            directory,
            id,
        }
    }

    pub fn shell(runtime: &Runtime, script: &str) -> Self {
        Self::new(runtime, &["/bin/sh", "-c", script])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn rootfs(&self, name: &str) -> PathBuf {
        self.path("rootfs").join(name)
    }

    /// Puts a program into the root filesystem.
    pub fn install(&self, program: &Path, name: &str) {
        fs::copy(program, self.rootfs(name)).unwrap();
    }

    /// An executable text file of the root filesystem.
    pub fn script(&self, name: &str, text: &str) {
        fs::write(self.rootfs(name), text).unwrap();
        fs::set_permissions(
            self.rootfs(name),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
    }

    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) {
        let mount = json!({"destination": destination, "type": kind, "source": source, "options": options});
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    pub fn bind(&mut self, source: &Path, destination: &str) {
        self.mount(
            destination,
            "bind",
            source.to_str().unwrap(),
            &["rbind", "rprivate"],
        );
    }

    /// Takes a mount out of the configuration.
    pub fn without_mount(&mut self, destination: &str) {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != destination);
    }

    pub fn capabilities(&mut self, names: &[&str]) {
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set] = json!(names);
        }
    }

    /// The runtime with these arguments. It is killed after 30 seconds: no attack may hang it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "30"]).args(self.runtime.words());
        command.arg("--root").arg(self.path("state")).args(args);
        command.stdin(Stdio::null());
        command
    }

    pub fn write_config(&self) {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
    }

    pub fn bundle_argument(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    pub fn outcome(command: &mut Command) -> Outcome {
        let output = command.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(137), "it hangs: {text}");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            text,
        }
    }

    /// `run` to the end.
    pub fn run(&self) -> Outcome {
        self.write_config();
        Self::outcome(&mut self.command(&["run", "-b", self.bundle_argument(), &self.id]))
    }

    /// `create` and `start`; what the container prints goes to the file `out`.
    pub fn start(&self) -> Outcome {
        self.write_config();
        let created = self.create(&[]);
        if !created.ok() {
            return created;
        }
        self.call(&["start", &self.id])
    }

    /// `create` of the configuration as written.
    pub fn create(&self, more: &[&str]) -> Outcome {
        let out = File::options()
            .append(true)
            .create(true)
            .open(self.path("out"))
            .unwrap();
        let errors = File::create(self.path("errors")).unwrap();
        let pid_file = self.path("pid");
        let mut args = vec![
            "create",
            "-b",
            self.bundle_argument(),
            "--pid-file",
            pid_file.to_str().unwrap(),
        ];
        args.extend(more);
        args.push(&self.id);
        // Files, not pipes: the container keeps them open, and nobody waits for it.
        let status = self.command(&args).stdout(out).stderr(errors).status().unwrap();
        assert_ne!(status.code(), Some(137), "create hangs");
        let text = fs::read_to_string(self.path("errors")).unwrap_or_default();
        Outcome {
            code: status.code().unwrap_or(-1),
            text,
        }
    }

    pub fn call(&self, args: &[&str]) -> Outcome {
        Self::outcome(&mut self.command(args))
    }

    /// `exec` of a command with options before the id.
    pub fn exec(&self, options: &[&str], command: &[&str]) -> Outcome {
        let mut args = vec!["exec"];
        args.extend(options);
        args.push(&self.id);
        args.extend(command);
        self.call(&args)
    }

    /// Process id of the container's first process.
    pub fn pid(&self) -> i32 {
        fs::read_to_string(self.path("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// What the container has printed.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    /// Waits until the container has printed `words`.
    pub fn wait_for(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let printed = self.printed();
            if printed.contains(words) {
                return printed;
            }
            assert!(Instant::now() < deadline, "no {words:?} in {printed}");
            std::thread::sleep(Duration::from_millis(5)); // a file that is appended to has no event of its own here
        }
    }

    /// Kills and removes it, so that the id can be used again.
    pub fn delete(&self) {
        let _ = self.command(&["delete", "--force", &self.id]).output();
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.delete();
    }
}
