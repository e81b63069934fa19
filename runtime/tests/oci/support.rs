//! A bundle per test, and the runtime under test.

use std::fs;
use std::path::PathBuf;
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
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let runtime = std::env::var("KEELSON_TEST_OCI_RUNTIME");
        let mut command = Command::new(runtime.as_deref().unwrap_or(env!("CARGO_BIN_EXE_keelson-oci")));
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

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force", &self.id]).output();
        let _ = fs::remove_dir("/sys/fs/cgroup/unified/keelson-test-oci");
    }
}

pub(crate) fn is_ours() -> bool {
    std::env::var_os("KEELSON_TEST_OCI_RUNTIME").is_none()
}
