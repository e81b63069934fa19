//! A control plane of its own: `keelson control` on a data directory as `keelson up` prepares it.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use keelson_control::pki;
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A data directory with what `keelson up` prepares, and the control plane on it.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub control: Option<Child>,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let place = Self { dir, control: None };
        let data = place.data();
        fs::create_dir(&data).unwrap();
        let cluster = json!({
            "nodeName": "node", "nodeIp": "127.0.0.1", "listen": listen, "network": 42,
            "kubeconfig": place.kubeconfig(),
        });
        fs::write(data.join("cluster.json"), cluster.to_string()).unwrap();
        let request = pki::Request {
            api_sans: vec!["127.0.0.1".to_owned()],
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
            node_name: "node".to_owned(),
            node_ip: "127.0.0.1".parse().unwrap(),
        };
        pki::ensure(&data.join("pki"), &request).unwrap();
        let url = format!("https://{listen}");
        for (path, certificate) in [
            (place.kubeconfig(), "admin"),
            (place.path("node.kubeconfig"), "kubelet-node"),
        ] {
            pki::write_kubeconfig(&path, &url, &data.join("pki"), certificate, certificate).unwrap();
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.path("admin.kubeconfig")
    }

    pub fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_keelson"))
            .args(["control", "--data-dir"])
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("control.log")).unwrap())
            .spawn()
            .unwrap();
        self.control = Some(child);
        let began = Instant::now();
        let ready = || {
            wait(async {
                let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
                self.client().await.request_text(request).await.is_ok()
            })
        };
        while !ready() {
            let log = || fs::read_to_string(self.path("control.log")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(30), "not ready: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn stop(&mut self, signal: Signal) {
        if let Some(mut child) = self.control.take() {
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            child.wait().unwrap();
        }
    }

    pub async fn client(&self) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// Creates a ConfigMap; its resourceVersion.
    pub fn create(&self, name: &str) -> u64 {
        self.try_create(name).unwrap()
    }

    pub fn try_create(&self, name: &str) -> kube::Result<u64> {
        wait(async {
            let map = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    labels: Some([("test".to_owned(), "snapshot".to_owned())].into()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            };
            let api: Api<ConfigMap> = Api::default_namespaced(self.client().await);
            let created = api.create(&PostParams::default(), &map).await?;
            Ok(created.metadata.resource_version.unwrap().parse().unwrap())
        })
    }

    /// The names of those ConfigMaps, and the list's resourceVersion.
    pub fn list(&self) -> (Vec<String>, u64) {
        wait(async {
            let api: Api<ConfigMap> = Api::default_namespaced(self.client().await);
            let list = api
                .list(&ListParams::default().labels("test=snapshot"))
                .await
                .unwrap();
            let names = list
                .items
                .into_iter()
                .filter_map(|map| map.metadata.name)
                .collect();
            (names, list.metadata.resource_version.unwrap().parse().unwrap())
        })
    }

    /// The code of the error that a watch from a revision begins with, if it does.
    pub fn watch_error(&self, revision: u64) -> Option<u16> {
        wait(async {
            let api: Api<ConfigMap> = Api::default_namespaced(self.client().await);
            let parameters = WatchParams::default().timeout(1);
            let mut events = std::pin::pin!(api.watch(&parameters, &revision.to_string()).await.unwrap());
            match events.next().await {
                Some(Ok(WatchEvent::Error(status))) => Some(status.code),
                Some(Ok(_)) | None => None,
                Some(Err(error)) => panic!("{error}"),
            }
        })
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_keelson"))
            .arg("snapshot")
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    #[track_caller]
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
        complaint
    }

    pub fn status(&self, file: &str) -> Value {
        serde_json::from_str(&self.ok(&["status", file, "-o", "json"])).unwrap()
    }

    /// What else lies where the snapshots are written.
    pub fn leftovers(&self) -> Vec<String> {
        fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".part"))
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut child) = self.control.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
