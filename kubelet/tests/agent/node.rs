//! A machine of the test's own: directories, certificates, a busybox bundle, and an agent that can be killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use keelson_kubelet::Config;
use keelson_runtime::node::{NodeConfig, NodeRuntime};
use serde_json::{Value, json};

use crate::api::{Api, PODS};
use crate::netd;

static COUNTER: AtomicU32 = AtomicU32::new(0);

pub struct Node {
    pub api: Api,
    pub config: Config,
    directory: tempfile::TempDir,
    agent: Option<Agent>,
}

/// A running agent: a thread with an event loop of its own.
struct Agent {
    stop: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Node {
    /// A node whose agent runs.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-test-")
            .tempdir_in("/tmp")
            .unwrap();
        let dir = directory.path();
        let api = Api::start().await;
        bundle(&dir.join("bundle"));
        let config = config(dir, &api);
        netd::start(&config.netd_socket);
        let mut node = Self {
            api,
            config,
            directory,
            agent: None,
        };
        node.start_agent();
        node
    }

    pub fn start_agent(&mut self) {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let config = self.config.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            runtime.block_on(keelson_kubelet::run(config, stopped)).unwrap();
            // Like a kill: nothing that was under way is finished.
            runtime.shutdown_background();
        });
        self.agent = Some(Agent { stop, thread });
    }

    pub fn kill_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            let _ = agent.stop.send(());
            agent.thread.join().unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole
    /// Creates a pod of one container that runs a shell script.
    pub fn run(&self, name: &str, policy: &str, script: &str, more: Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": "n", "hostNetwork": true, "restartPolicy": policy,
                "containers": [{"name": "c", "image": format!("oci-bundle://{}", self.path("bundle").display()),
                    "command": ["/bin/sh", "-c", script]}]}});
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            if key == "container" {
                for (key, value) in value.as_object().unwrap() {
                    pod["spec"]["containers"][0][key] = value.clone();
                }
            } else {
                pod["spec"][key] = value;
            }
        }
        self.api.put(PODS, pod)
    }

    pub fn log(&self, pod: &Value, number: u32) -> String {
        let meta = &pod["metadata"];
        let name = format!(
            "default_{}_{}",
            meta["name"].as_str().unwrap(),
            meta["uid"].as_str().unwrap()
        );
        let text = fs::read_to_string(
            self.path("logs")
                .join(name)
                .join("c")
                .join(format!("{number}.log")),
        );
        let text = text.unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    pub fn runtime(&self) -> NodeRuntime {
        NodeRuntime::open(self.config.runtime.clone()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill_agent();
        if let Err(errors) = self.runtime().reset() {
            eprintln!("reset: {errors:?}");
        }
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for point in table.lines().rev().filter_map(|line| line.split(' ').nth(4)) {
            if Path::new(point).starts_with(self.directory.path()) {
                let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
            }
        }
    }
}

fn config(dir: &Path, api: &Api) -> Config {
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let cert = write("cert.pem", &certificate.cert.pem());
    let key = write("key.pem", &certificate.signing_key.serialize_pem());
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", api.address)}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    fs::create_dir(dir.join("run")).unwrap();
    Config {
        node_name: "n".into(),
        node_ip: "127.0.0.1".parse().unwrap(),
        kubeconfig: write("kubeconfig", &kubeconfig.to_string()),
        root_dir: dir.join("kubelet"),
        log_dir: dir.join("logs"),
        image_dir: dir.join("images"),
        runtime: NodeConfig {
            root: dir.join("runtime"),
            run_dir: dir.join("run"),
            cgroup_root: format!("keelson-test-kl-{}-{n}", std::process::id()),
            cgroups: false,
        },
        netd_socket: dir.join("netd.sock"),
        listen: "127.0.0.1:0".parse().unwrap(),
        client_ca: cert.clone(),
        tls_cert: cert,
        tls_key: key,
        cluster_dns: "10.43.0.10".parse().unwrap(),
        cluster_domain: "cluster.local".into(),
        resolv_conf: "/etc/resolv.conf".into(),
        max_pods: 10,
        allow_missing_cgroups: true,
    }
}

/// An OCI bundle with busybox.
fn bundle(path: &Path) {
    let bin = path.join("rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    for directory in ["proc", "tmp", "etc", "dev", "sys"] {
        fs::create_dir_all(path.join("rootfs").join(directory)).unwrap();
    }
    fs::copy("/usr/bin/busybox", bin.join("busybox")).unwrap();
    for name in [
        "sh", "cat", "echo", "sleep", "test", "true", "false", "ls", "kill",
    ] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    let config = json!({"ociVersion": "1.0.2", "root": {"path": "rootfs"},
        "process": {"args": ["/bin/sh"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}});
    fs::write(path.join("config.json"), config.to_string()).unwrap();
}
