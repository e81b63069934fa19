//! A private cluster: its own directory, port and address ranges; removed when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{Kubectl, Output, find_kubectl, run_to_end};

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    dir: tempfile::TempDir,
    listen: String,
}

impl Cluster {
    /// Imports the test images and runs `keelson up --detach`. The binary is `$KEELSON_BIN`, or the release build.
    pub fn start() -> Result<Self> {
        let cluster = Self::new()?;
        cluster.import_images()?;
        cluster.up()?;
        Ok(cluster)
    }

    /// A directory and a port, nothing running yet.
    pub fn new() -> Result<Self> {
        let binary = binary()?;
        let dir = tempfile::Builder::new()
            .prefix("keelson-test-")
            .tempdir_in("/var/tmp")?;
        // The port may be taken by another program between here and `up`, which would then say so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            binary,
            dir,
            listen: format!("127.0.0.1:{port}"),
        })
    }

    /// Imports both test images.
    pub fn import_images(&self) -> Result<()> {
        for (file, tag) in [
            ("busybox.tar", "busybox:1.36"),
            ("echoserver.tar", "k8s.gcr.io/echoserver:1.4"),
        ] {
            let path = repository().join("rootfs/out").join(file);
            let path = path.to_str().context("path is not UTF-8")?;
            ensure!(
                Path::new(path).exists(),
                "{path} is missing; make it with: make images"
            );
            self.ok(&["image", "import", path, "--tag", tag])?;
        }
        Ok(())
    }

    /// Starts it in the background.
    pub fn up(&self) -> Result<()> {
        self.ok(&["up", "--detach", "--listen", &self.listen]).map(drop)
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Address of the API server.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// The administrator's kubectl.
    pub fn kubectl(&self) -> Result<Kubectl> {
        let kubectl = find_kubectl("").context("no kubectl: put one on PATH or name it in $KUBECTL")?;
        Ok(Kubectl::new(&kubectl, &self.dir().join("admin.kubeconfig")))
    }

    /// Runs `keelson ARGS --data-dir DIR`.
    pub fn keelson(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--data-dir").arg(self.dir());
        run_to_end(command, b"").with_context(|| format!("keelson {}", args.join(" ")))
    }

    /// Like [`Self::keelson`], demanding exit code 0; returns standard output.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        let output = self.keelson(args)?;
        ensure!(
            output.code == 0,
            "keelson {} exited with {}: {}",
            args.join(" "),
            output.code,
            output.stderr
        );
        Ok(output.stdout)
    }

    /// `keelson status -o json`, decoded; works also when something is unhealthy.
    pub fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(
            &self.keelson(&["status", "-o", "json"])?.stdout,
        )?)
    }

    /// Pid of a daemon.
    pub fn pid(&self, daemon: &str) -> Result<i32> {
        let status = self.status()?;
        let daemons = status["daemons"].as_array().context("daemons")?;
        let entry = daemons
            .iter()
            .find(|entry| entry["name"] == daemon)
            .context("no such daemon")?;
        entry["pid"]
            .as_i64()
            .map(|pid| pid as i32)
            .with_context(|| format!("{daemon} is not running"))
    }

    /// The end of each daemon's log, for a failure's message.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for name in ["up", "control", "netd", "kubelet"] {
            let log = std::fs::read_to_string(self.dir().join("logs").join(format!("{name}.log")))
                .unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            text = format!("{text}--- {name}.log\n{}\n", tail.join("\n"));
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.keelson(&["reset"]) {
            Ok(output) if output.code == 0 => {}
            Ok(output) => eprintln!("keelson reset failed: {}", output.stderr),
            Err(error) => eprintln!("keelson reset failed: {error:#}"),
        }
    }
}

/// The checkout.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn binary() -> Result<PathBuf> {
    let release = || {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        target
            .map_or_else(|| repository().join("target"), PathBuf::from)
            .join("release/keelson")
    };
    let path = std::env::var_os("KEELSON_BIN").map_or_else(release, PathBuf::from);
    ensure!(
        path.exists(),
        "{} is missing; make it with: make build",
        path.display()
    );
    Ok(path)
}
