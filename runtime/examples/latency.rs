//! Measures what a container costs: `latency ROOTFS [ROUNDS]` prints medians and the 95th percentile in milliseconds, and
//! the shim's private memory. Needs root and a root filesystem with `/bin/true` and `/bin/sleep`.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use keelson_runtime::node::{
    ContainerSpec, ExecSpec, NodeConfig, NodeRuntime, QosClass, Resources, RootfsSource, SandboxSpec,
    Seccomp, User,
};

fn sandbox(id: &str) -> SandboxSpec {
    SandboxSpec {
        id: id.into(),
        namespace: "default".into(),
        name: "pod".into(),
        hostname: "pod".into(),
        host_network: false,
        host_pid: false,
        host_ipc: false,
        share_pid: false,
        sysctls: BTreeMap::new(),
        qos: QosClass::BestEffort,
        resources: Resources::default(),
    }
}

fn container(runtime: &NodeRuntime, rootfs: &str, args: &[&str]) -> ContainerSpec {
    ContainerSpec {
        id: runtime.new_container_id(),
        name: "main".into(),
        attempt: 0,
        image: String::new(),
        image_id: String::new(),
        rootfs: RootfsSource::Layers(vec![rootfs.into()]),
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
        log_path: None,
        log_max_size: 0,
        log_max_files: 0,
        stop_signal: None,
        labels: BTreeMap::new(),
    }
}

/// Times of one step, printed when dropped.
struct Step(&'static str, Vec<Duration>);

impl Step {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.1.push(start.elapsed());
        result
    }

    fn print(&mut self) {
        self.1.sort();
        let ms = |at: usize| self.1[at].as_secs_f64() * 1000.0;
        println!(
            "{:<18} median {:7.2} ms   p95 {:7.2} ms",
            self.0,
            ms(self.1.len() / 2),
            ms(self.1.len() * 95 / 100)
        );
    }
}

/// Private memory of the shims of this runtime, in KiB each.
fn shim_memory(run: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("{run}/pods"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let Ok(lock) = fs::File::open(entry.path().join("shim.lock")) else {
            continue;
        };
        let Ok(Some(pid)) = keelson_runtime::sys::lock_holder(std::os::fd::AsFd::as_fd(&lock)) else {
            continue;
        };
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kb = |key: &str| -> u64 {
            rollup
                .lines()
                .find_map(|l| l.strip_prefix(key))
                .and_then(|l| l.trim().split(' ').next()?.parse().ok())
                .unwrap_or(0)
        };
        found.push(kb("Private_Clean:") + kb("Private_Dirty:"));
    }
    found
}

fn main() {
    let mut args = std::env::args().skip(1);
    let rootfs = args.next().expect("usage: latency ROOTFS [ROUNDS]");
    let rounds: usize = args.next().map_or(50, |n| n.parse().expect("a number"));
    let directory = format!("/tmp/keelson-bench-{}", std::process::id());
    let run = format!("{directory}/run");
    let config = NodeConfig {
        root: format!("{directory}/root").into(),
        run_dir: run.clone().into(),
        cgroup_root: format!("keelson-bench-{}", std::process::id()),
        cgroups: false,
    };
    let runtime = NodeRuntime::open(config).expect("opening the runtime");
    let names = [
        "create sandbox",
        "create container",
        "start container",
        "exec true",
        "remove container",
        "remove sandbox",
    ];
    let mut steps = names.map(|name| Step(name, Vec::new()));
    for round in 0..rounds {
        let id = format!("pod{round}");
        steps[0]
            .time(|| runtime.create_sandbox(&sandbox(&id)))
            .expect("sandbox");
        let spec = container(&runtime, &rootfs, &["/bin/sleep", "1000"]);
        steps[1]
            .time(|| runtime.create_container(&id, &spec))
            .expect("create");
        steps[2]
            .time(|| runtime.start_container(&spec.id))
            .expect("start");
        let exec = ExecSpec {
            args: vec!["/bin/true".into()],
            ..ExecSpec::default()
        };
        steps[3]
            .time(|| runtime.exec(&spec.id, &exec).and_then(|mut e| e.wait()))
            .expect("exec");
        steps[4]
            .time(|| runtime.remove_container(&spec.id))
            .expect("remove");
        steps[5]
            .time(|| runtime.remove_sandbox(&id))
            .expect("remove sandbox");
    }
    // Of several, so that what they share counts for none.
    for n in 0..4 {
        let id = format!("idle{n}");
        runtime.create_sandbox(&sandbox(&id)).expect("sandbox");
        let spec = container(&runtime, &rootfs, &["/bin/sleep", "1000"]);
        runtime.create_container(&id, &spec).expect("create");
        runtime.start_container(&spec.id).expect("start");
    }
    println!("shims, private KiB each: {:?}", shim_memory(&run));
    steps.iter_mut().for_each(Step::print);
    runtime.reset().expect("reset");
    let _ = fs::remove_dir_all(directory);
}
