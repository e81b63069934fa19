//! A runtime of a test's own, and a busybox root filesystem.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use keelson_runtime::node::*;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Whether the host's cgroup v2 hierarchy has the controllers of limits: then they are used.
fn controllers() -> bool {
    fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
        .is_ok_and(|text| ["cpu", "memory", "pids"].iter().all(|name| text.contains(name)))
}

/// A runtime that removes every trace of itself when dropped.
pub struct Node {
    pub runtime: NodeRuntime,
    pub config: NodeConfig,
    pub directory: tempfile::TempDir,
    pub rootfs: PathBuf,
}

impl Node {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-test-")
            .tempdir_in("/tmp")
            .unwrap();
        let rootfs = directory.path().join("image");
        crate::busybox::install(&rootfs);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let config = NodeConfig {
            root: directory.path().join("root"),
            run_dir: directory.path().join("run"),
            cgroup_root: format!("keelson-test-{}-{n}", std::process::id()),
            cgroups: controllers(),
        };
        let runtime = NodeRuntime::open(config.clone()).unwrap();
        Self {
            runtime,
            config,
            directory,
            rootfs,
        }
    }

    pub fn sandbox(id: &str) -> SandboxSpec {
        SandboxSpec {
            id: id.into(),
            namespace: "default".into(),
            name: "pod".into(),
            hostname: "the-pod".into(),
            host_network: false,
            host_pid: false,
            host_ipc: false,
            share_pid: false,
            sysctls: BTreeMap::new(),
            qos: QosClass::BestEffort,
            resources: Resources::default(),
        }
    }

    pub fn container(&self, args: &[&str]) -> ContainerSpec {
        let id = self.runtime.new_container_id();
        ContainerSpec {
            name: "main".into(),
            attempt: 0,
            image: "busybox".into(),
            image_id: "busybox".into(),
            rootfs: RootfsSource::Layers(vec![self.rootfs.clone()]),
            args: args.iter().map(|s| (*s).to_owned()).collect(),
            env: vec![],
            cwd: String::new(),
            user: User::default(),
            mounts: vec![],
            devices: vec![],
            resources: Resources::default(),
            cap_add: vec![],
            cap_drop: vec![],
            privileged: false,
            no_new_privileges: false,
            read_only_rootfs: false,
            unmasked_proc: false,
            seccomp: Seccomp::RuntimeDefault,
            tty: false,
            stdin: false,
            stdin_once: false,
            log_path: Some(self.directory.path().join(format!("{id}.log"))),
            log_max_size: 10 << 20,
            log_max_files: 5,
            stop_signal: None,
            labels: BTreeMap::new(),
            id,
        }
    }

    pub fn shell(&self, script: &str) -> ContainerSpec {
        self.container(&["/bin/sh", "-c", script])
    }

    /// Makes a sandbox named `pod` if need be, runs the container to its end, and returns its exit code and output.
    pub fn run(&self, spec: &ContainerSpec) -> (i32, String) {
        self.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
        self.run_in("pod", spec)
    }

    pub fn run_in(&self, sandbox: &str, spec: &ContainerSpec) -> (i32, String) {
        self.runtime.create_container(sandbox, spec).unwrap();
        self.runtime.start_container(&spec.id).unwrap();
        let code = self.wait(&spec.id);
        (code, Node::log(spec))
    }

    pub fn wait(&self, id: &str) -> i32 {
        let mut events = self.runtime.events().unwrap();
        // In an emulated machine everything takes ten times as long.
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            if let Phase::Exited { exit_code, .. } = self.runtime.container(id).unwrap().unwrap().phase {
                return exit_code;
            }
            assert!(Instant::now() < deadline, "container does not end");
            let _ = keelson_runtime::sys::poll_readable(events.fd(), 1000);
            while events.try_next().unwrap().is_some() {}
        }
    }

    /// The contents of a container's log, without times and tags.
    pub fn log(spec: &ContainerSpec) -> String {
        let text = fs::read_to_string(spec.log_path.as_ref().unwrap()).unwrap();
        text.lines().fold(String::new(), |mut all, line| {
            let mut parts = line.splitn(4, ' ');
            let tag = parts.nth(2).unwrap();
            all += parts.next().unwrap();
            if tag == "F" {
                all.push('\n');
            }
            all
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(errors) = self.runtime.reset() {
            eprintln!("reset: {errors:?}");
            assert!(std::thread::panicking(), "reset failed");
        }
    }
}

/// A private, writable volume.
pub fn volume(source: &Path, target: &str) -> VolumeMount {
    VolumeMount {
        source: source.into(),
        kind: None,
        sub_path: None,
        target: target.into(),
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::Private,
    }
}
