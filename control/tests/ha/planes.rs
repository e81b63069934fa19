//! Control planes as processes: this test program again, with an environment that says so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::coordination::v1::Lease;
use keelson_control::store::Servers;
use keelson_control::{Config, pki};
use kube::api::{Api, ListParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::peer::free_port;

const DIR: &str = "KEELSON_HA_DIR";
const LISTEN: &str = "KEELSON_HA_LISTEN";
const ETCD: &str = "KEELSON_HA_ETCD";

/// The process's part.
pub fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let listen: SocketAddr = std::env::var(LISTEN).unwrap().parse().unwrap();
    let etcd = std::env::var(ETCD).unwrap();
    let config = config(
        Path::new(&dir),
        listen,
        etcd.split(',').map(str::to_owned).collect(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        Box::pin(keelson_control::run(config, async move {
            stop.recv().await;
        }))
        .await
        .unwrap();
    });
}

fn config(dir: &Path, listen: SocketAddr, etcd: Vec<String>) -> Config {
    Config {
        data_dir: dir.join(listen.port().to_string()),
        pki_dir: dir.join("pki"),
        listen,
        advertise: listen,
        service_cidrs: vec!["10.43.0.0/16".to_owned()],
        cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
        dns_ip: IpAddr::V4(Ipv4Addr::new(10, 43, 0, 10)),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: Some(Servers::new(etcd)),
        encryption: keelson_control::encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: false,
    }
}

/// Three of them. They share the keys, as on several machines they would be copied.
pub struct Planes {
    dir: tempfile::TempDir,
    etcd: String,
    all: Vec<Plane>,
}

struct Plane {
    listen: SocketAddr,
    process: Option<Child>,
}

impl Planes {
    pub fn start(etcd: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Addresses of their own, so that each is an endpoint of its own; the port is the same, as it would be.
        let port = free_port();
        let listens: Vec<SocketAddr> = (1..=3)
            .map(|last| SocketAddr::from(([127, 0, 0, last], port)))
            .collect();
        let request = pki::Request {
            api_sans: listens.iter().map(|listen| listen.ip().to_string()).collect(),
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
            node_name: "node".to_owned(),
            node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let pki_dir = dir.path().join("pki");
        pki::ensure(&pki_dir, &request).unwrap();
        for listen in &listens {
            let path = dir.path().join(format!("{}.kubeconfig", listen.ip()));
            pki::write_kubeconfig(&path, &format!("https://{listen}"), &pki_dir, "admin", "admin").unwrap();
        }
        let plane = |listen| Plane {
            listen,
            process: None,
        };
        let mut planes = Self {
            dir,
            etcd: etcd.join(","),
            all: listens.into_iter().map(plane).collect(),
        };
        // All at once, as after a power cut.
        for plane in 0..planes.all.len() {
            planes.spawn(plane);
        }
        for plane in 0..planes.all.len() {
            planes.wait(plane);
        }
        planes
    }

    /// A client of each.
    pub async fn clients(&self) -> Vec<kube::Client> {
        let mut clients = Vec::new();
        for plane in &self.all {
            let path = self.dir.path().join(format!("{}.kubeconfig", plane.listen.ip()));
            let kubeconfig = kube::config::Kubeconfig::read_from(path).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .unwrap();
            // What happens is to be seen as it is.
            config.default_retry = false;
            config.connect_timeout = Some(Duration::from_secs(2));
            clients.push(kube::Client::try_from(config).unwrap());
        }
        clients
    }

    /// Ends one in order.
    pub fn stop(&mut self, plane: usize) {
        let mut process = self.all[plane].process.take().unwrap();
        kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log(plane));
                return;
            }
            if began.elapsed() > Duration::from_secs(20) {
                drop(process.kill());
                panic!("it does not end: {}", self.log(plane));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends one with SIGKILL.
    pub fn kill(&mut self, plane: usize) {
        if let Some(mut process) = self.all[plane].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts one again.
    pub fn resume(&mut self, plane: usize) {
        self.spawn(plane);
        self.wait(plane);
    }

    /// Which one runs the controllers, and since how many others did.
    pub async fn leader(&self, clients: &[kube::Client]) -> Option<(usize, i32)> {
        let leases: Api<Lease> = Api::namespaced(clients[0].clone(), "kube-system");
        let spec = leases.get("kube-controller-manager").await.ok()?.spec?;
        let holder = spec.holder_identity?;
        let process = holder.rsplit('_').next()?;
        // Each server's own Lease tells its address and ends in the same name.
        let label = "apiserver.kubernetes.io/identity=kube-apiserver";
        let servers = leases.list(&ListParams::default().labels(label)).await.ok()?;
        let address = servers.items.iter().find_map(|lease| {
            let holder = lease.spec.as_ref()?.holder_identity.as_ref()?;
            let address = lease
                .metadata
                .annotations
                .as_ref()?
                .get("keelson.io/advertise-address")?;
            holder.ends_with(process).then(|| address.clone())
        })?;
        let plane = self
            .all
            .iter()
            .position(|plane| plane.listen.to_string() == address)?;
        Some((plane, spec.lease_transitions.unwrap_or(0)))
    }

    fn log(&self, plane: usize) -> String {
        let path = self
            .dir
            .path()
            .join(format!("{}.log", self.all[plane].listen.ip()));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn spawn(&mut self, plane: usize) {
        let listen = self.all[plane].listen;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("{}.log", listen.ip())))
            .unwrap();
        // It ends with the thread that started it, whatever becomes of the test.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(std::env::current_exe().unwrap())
            .args(["plane", "--exact", "--nocapture"])
            .env(DIR, self.dir.path())
            .env(LISTEN, listen.to_string())
            .env(ETCD, &self.etcd)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.all[plane].process = Some(process);
    }

    fn wait(&mut self, plane: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let began = Instant::now();
        let client = runtime.block_on(async { self.clients().await.swap_remove(plane) });
        loop {
            let request = Request::get("/readyz").body(Vec::new()).unwrap();
            if runtime.block_on(client.request_text(request)).is_ok() {
                return;
            }
            let ended = self.all[plane].process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {}", self.log(plane));
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "not ready: {}",
                self.log(plane)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Planes {
    fn drop(&mut self) {
        for plane in 0..self.all.len() {
            self.kill(plane);
        }
    }
}

/// Posts an object.
pub async fn create(client: &kube::Client, path: &str, object: &Value) {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object).unwrap())
        .unwrap();
    client.request::<Value>(request).await.unwrap();
}

/// A node.
pub fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"pool": name}}})
}

/// Makes a node fit for pods. Nobody renews it, so it is for the next half minute only.
pub async fn set_ready(client: &kube::Client, name: &str) {
    let now = keelson_api::time::now_rfc3339();
    let condition = json!({"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastHeartbeatTime": now,
        "lastTransitionTime": now});
    let room = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
    let status = json!({"status": {"conditions": [condition], "capacity": room, "allocatable": room}});
    let request = Request::patch(format!("/api/v1/nodes/{name}/status"))
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status).unwrap())
        .unwrap();
    client.request::<Value>(request).await.unwrap();
}

/// A Deployment of two pods on that node.
pub fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "nodeSelector": {"pool": name},
                    // A new node is tainted until the controller has seen it ready.
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "c", "image": "none"}],
                },
            },
        },
    })
}
