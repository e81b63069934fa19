//! The library, against the bare system calls.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use keelson_runtime::launch::{Gate, Plan, RecordKind, spawn_container};
use keelson_runtime::node::{
    ContainerSpec, Event, Events, NodeConfig, NodeRuntime, QosClass, Resources, RootfsSource, SandboxSpec,
    Seccomp, User,
};
use keelson_runtime::plan::{OciPaths, oci};
use keelson_runtime::sys;
use oci_spec::runtime::Spec;

use super::floor::{self, Root};
use super::measure::{Subject, alternate, time};
use super::{Bench, Outcome, bundle, why};

/// A pod, as the kubelet has it.
pub struct Pod {
    pub runtime: NodeRuntime,
    id: String,
    rootfs: PathBuf,
    directory: PathBuf,
}

impl Pod {
    /// With a runtime of its own.
    pub fn new(bench: &Bench, name: &str) -> Outcome<Self> {
        let directory = bench.directory.join(format!("node-{name}"));
        let config = NodeConfig {
            root: directory.join("root"),
            run_dir: directory.join("run"),
            cgroup_root: format!("keelson-bench-{}-{name}", std::process::id()),
            cgroups: false,
        };
        let runtime = NodeRuntime::open(config).map_err(why("opening the runtime"))?;
        let pod = Self {
            runtime,
            id: name.to_owned(),
            rootfs: bundle::rootfs(&bench.directory),
            directory,
        };
        pod.add_sandbox(name)?;
        Ok(pod)
    }

    /// One more sandbox of the same runtime.
    pub fn add_sandbox(&self, id: &str) -> Outcome<()> {
        let spec = SandboxSpec {
            id: id.to_owned(),
            namespace: "default".to_owned(),
            name: id.to_owned(),
            hostname: id.to_owned(),
            host_network: false,
            host_pid: false,
            host_ipc: false,
            share_pid: false,
            sysctls: BTreeMap::new(),
            qos: QosClass::BestEffort,
            resources: Resources::default(),
        };
        self.runtime
            .create_sandbox(&spec)
            .map(|_| ())
            .map_err(why("creating the sandbox"))
    }

    /// Creates and starts a container; its id.
    pub fn start(&self, args: &[&str]) -> Outcome<String> {
        self.start_in(&self.id, args)
    }

    /// As [`Pod::start`], in another sandbox.
    pub fn start_in(&self, sandbox: &str, args: &[&str]) -> Outcome<String> {
        let spec = container(self.runtime.new_container_id(), &self.rootfs, args);
        self.runtime
            .create_container(sandbox, &spec)
            .map_err(why("creating"))?;
        self.runtime.start_container(&spec.id).map_err(why("starting"))?;
        Ok(spec.id)
    }

    /// The whole life of one.
    fn life(&self, events: &mut Events) -> Outcome<()> {
        let id = self.start(&["/bin/true"])?;
        loop {
            match events.try_next().map_err(why("waiting"))? {
                Some(Event::Exited(ended)) if ended == id => break,
                Some(_) => {}
                None => {
                    sys::poll_readable(events.fd(), -1).map_err(why("waiting"))?;
                }
            }
        }
        self.runtime.remove_container(&id).map_err(why("removing"))
    }

    /// Directory of the pods' sockets and locks.
    pub fn run_directory(&self) -> PathBuf {
        self.directory.join("run")
    }

    pub fn remove(self) -> Outcome<()> {
        self.runtime.reset().map_err(|errors| format!("{errors:?}"))
    }
}

fn container(id: String, rootfs: &std::path::Path, args: &[&str]) -> ContainerSpec {
    ContainerSpec {
        id,
        name: "main".to_owned(),
        attempt: 0,
        image: String::new(),
        image_id: String::new(),
        rootfs: RootfsSource::Layers(vec![rootfs.to_owned()]),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: Vec::new(),
        cwd: String::new(),
        user: User::default(),
        mounts: Vec::new(),
        devices: Vec::new(),
        resources: Resources::default(),
        cap_add: Vec::new(),
        cap_drop: Vec::new(),
        privileged: false,
        no_new_privileges: true,
        read_only_rootfs: false,
        unmasked_proc: false,
        seccomp: Seccomp::RuntimeDefault,
        tty: false,
        stdin: false,
        stdin_once: false,
        log_path: None,
        log_max_size: 0,
        log_max_files: 0,
        stop_signal: None,
        labels: BTreeMap::new(),
    }
}

/// A launch, from a plan to the end of the process: what the shim and the launcher do.
fn launch(plan: &Plan, rootfs: &std::path::Path) -> Outcome<()> {
    let path = CString::new(rootfs.as_os_str().as_bytes()).map_err(why("the root"))?;
    let root = sys::open_path(&path, libc::O_PATH | libc::O_DIRECTORY).map_err(why("the root"))?;
    let root = sys::open_tree(root.as_fd(), true).map_err(why("the root"))?;
    let launched = spawn_container(plan, root, None, Gate::Channel, None).map_err(|e| e.message)?;
    while let Some((kind, _)) = launched.channel.receive().map_err(why("the child"))? {
        match kind {
            RecordKind::Ready => launched.channel.open_gate().map_err(why("the child"))?,
            RecordKind::Failed(failure) => return Err(format!("{failure:?}")),
            _ => {}
        }
    }
    sys::wait_pidfd(launched.child.pidfd.as_fd())
        .map(|_| ())
        .map_err(why("waiting"))
}

/// Prints the table.
pub fn measure(bench: &Bench) -> Outcome<()> {
    let rootfs = bundle::rootfs(&bench.directory);
    let attach_point = bench.directory.join("attach");
    fs::create_dir_all(&attach_point).map_err(why("making a directory"))?;
    let bundle = bundle::brief(&bench.directory);
    let config = fs::read(bundle.join("config.json")).map_err(why("config.json"))?;
    let spec: Spec = serde_json::from_slice(&config).map_err(why("config.json"))?;
    let paths = OciPaths {
        id: "bench".to_owned(),
        bundle,
        attach_point: attach_point.to_string_lossy().into_owned(),
        cgroup: None,
    };
    let plan = oci(&spec, paths).map_err(why("config.json"))?;
    let pod = Pod::new(bench, "life")?;
    let mut events = pod.runtime.events().map_err(why("events"))?;
    let floor = |root| {
        move || -> Outcome<Duration> {
            floor::container(root, &bundle::rootfs(&bench.directory), &bench.directory)
        }
    };
    let subjects = vec![
        Subject::new("bare system calls, bind mount", floor(Root::Bind)),
        Subject::new("bare system calls, overlay", floor(Root::Overlay)),
        Subject::new("library: launch and wait", || time(|| launch(&plan, &rootfs))),
        Subject::new("library: container of a pod: create, start, wait, remove", || {
            time(|| pod.life(&mut events))
        }),
    ];
    alternate("library", bench.rounds, "bare system calls, bind", subjects);
    pod.remove()
}
