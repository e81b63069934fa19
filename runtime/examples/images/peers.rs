//! podman and containerd, doing the same.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Cost, timed};

/// Somebody else's image store.
pub trait Peer {
    fn name(&self) -> &'static str;
    /// Imports and unpacks; `store` is an empty directory to use.
    fn import(&mut self, archive: &Path, store: &Path) -> Cost;
    /// Removes what an import left.
    fn clear(&mut self, store: &Path);
}

pub fn installed(program: &str) -> bool {
    let run = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Runs a command to its end: its time and peak memory.
pub fn measure(command: &mut Command) -> Cost {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let (child, time) = timed(|| {
        let mut child = command.spawn().expect("starting a command");
        let memory = watch(&mut child);
        (child.wait_with_output().expect("waiting for a command"), memory)
    });
    let (output, memory) = child;
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Cost { time, memory }
}

/// Highest VmHWM seen until the process ends: read often, because it is gone with the process.
fn watch(child: &mut Child) -> u64 {
    let mut highest = 0;
    // A timer: nothing announces how much memory a process takes.
    while child.try_wait().expect("waiting for a command").is_none() {
        highest = highest.max(peak(child.id()));
        std::thread::sleep(Duration::from_millis(2));
    }
    highest
}

/// `VmHWM` of a process in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// `podman load` with the overlay driver.
pub struct Podman;

impl Podman {
    fn command(store: &Path) -> Command {
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(store.join("root"))
            .arg("--runroot")
            .arg(store.join("run"))
            .args(["--storage-driver", "overlay"]);
        command
    }
}

impl Peer for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn import(&mut self, archive: &Path, store: &Path) -> Cost {
        measure(Self::command(store).arg("load").arg("-i").arg(archive))
    }

    fn clear(&mut self, store: &Path) {
        // It leaves a mount of its own over its directory.
        let _ = Command::new("umount")
            .arg(store.join("root/overlay"))
            .stderr(Stdio::null())
            .status();
        std::fs::remove_dir_all(store).expect("removing podman's store");
    }
}

/// `ctr image import` with a daemon of our own.
pub struct Containerd {
    daemon: Child,
    socket: std::path::PathBuf,
}

impl Containerd {
    pub fn start(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("containerd's directory");
        let socket = directory.join("sock");
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = \"{}\"\n",
            directory.join("root").display(),
            directory.join("state").display(),
            socket.display()
        );
        let path = directory.join("config.toml");
        std::fs::write(&path, config).expect("containerd's configuration");
        let daemon = Command::new("containerd")
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starting containerd");
        let containerd = Self { daemon, socket };
        for _ in 0..200 {
            let answers = containerd
                .ctr()
                .arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if answers.is_ok_and(|status| status.success()) {
                return containerd;
            }
            // A timer: nothing but an answer tells that it listens.
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("containerd does not answer");
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(&self.socket);
        command
    }
}

impl Peer for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn import(&mut self, archive: &Path, _store: &Path) -> Cost {
        let pid = self.daemon.id();
        // Forgets the peak so far (proc(5), clear_refs).
        let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        let cost = measure(self.ctr().args(["image", "import"]).arg(archive));
        Cost {
            memory: peak(pid),
            ..cost
        }
    }

    fn clear(&mut self, store: &Path) {
        let listed = self
            .ctr()
            .args(["image", "ls", "-q"])
            .output()
            .expect("listing images");
        for name in String::from_utf8_lossy(&listed.stdout).lines() {
            let _ = self
                .ctr()
                .args(["image", "rm", "--sync", name])
                .stdout(Stdio::null())
                .status();
        }
        std::fs::remove_dir_all(store).expect("removing a directory");
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
