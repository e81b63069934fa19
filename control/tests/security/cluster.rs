//! The real server in this process, and callers over TLS.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use http::{Method, Request};
use keelson_control::{Config, pki};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// A control plane of its own, on a free port.
pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub address: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), keelson_control::Error>>,
}

impl Cluster {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let pki_dir = dir.path().join("pki");
        for node_name in ["n1", "n2"] {
            let request = pki::Request {
                api_sans: vec!["127.0.0.1".to_owned()],
                service_cidrs: vec!["10.43.0.0/16".to_owned()],
                cluster_domain: "cluster.local".to_owned(),
                node_name: node_name.to_owned(),
                node_ip: "192.0.2.1".parse().unwrap(),
            };
            pki::ensure(&pki_dir, &request).unwrap();
        }
        let config = Config {
            data_dir: dir.path().join("control"),
            pki_dir,
            listen: address,
            advertise: address,
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
            dns_ip: "10.43.0.10".parse().unwrap(),
            cluster_domain: "cluster.local".to_owned(),
            node_ports: (30000, 32767),
            etcd: None,
            encryption: keelson_control::encryption::Settings::default(),
            admission_control_config_file: None,
            dials_loopback: false,
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(keelson_control::run(config, async {
            let _ = stopped.await;
        }));
        let cluster = Self {
            dir,
            address,
            stop,
            task,
        };
        let admin = cluster.certificate("admin").await;
        cluster
            .eventually("ready", async || {
                admin.ask(Method::GET, "/readyz", None).await.0 == 200
            })
            .await;
        cluster
    }

    /// Tries until it is true; the test ends after 20 seconds.
    pub async fn eventually(&self, what: &str, is: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            assert!(!self.task.is_finished(), "the control plane has ended");
            if is().await {
                return;
            }
            // Polling stands in for a user who looks again.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {what} in time");
    }

    /// A caller with a certificate of the cluster.
    pub async fn certificate(&self, base: &str) -> Caller {
        let path = self.dir.path().join(format!("{base}.kubeconfig"));
        let url = format!("https://{}", self.address);
        pki::write_kubeconfig(&path, &url, &self.dir.path().join("pki"), base, base).unwrap();
        Caller::new(&path, |_| {}).await
    }

    /// A caller with a bearer token, or with nothing.
    pub async fn token(&self, token: Option<&str>) -> Caller {
        let path = self.dir.path().join("admin.kubeconfig");
        Caller::new(&path, |config| {
            let auth = config.auth_infos[0].auth_info.get_or_insert_default();
            auth.client_certificate_data = None;
            auth.client_key_data = None;
            auth.token = token.map(|token| token.to_owned().into());
        })
        .await
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }
}

/// Somebody who asks the API server.
pub struct Caller(Client);

impl Caller {
    async fn new(path: &Path, change: impl FnOnce(&mut Kubeconfig)) -> Self {
        let mut kubeconfig = Kubeconfig::read_from(path).unwrap();
        change(&mut kubeconfig);
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        // A refusal is an answer.
        config.default_retry = false;
        Self(Client::try_from(config).unwrap())
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.with(method, path, body, &[]).await
    }

    pub async fn with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let patch = method == Method::PATCH;
        let mut request = Request::builder().method(method).uri(path);
        let kind = if patch {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        request = request.header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let Ok(response) = self.0.send(request.body(body.into()).unwrap()).await else {
            return (0, Value::Null);
        };
        let status = response.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
        )
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    pub async fn create(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }
}

/// The message of a Status.
pub fn message(answer: &(u16, Value)) -> &str {
    answer.1["message"].as_str().unwrap_or_default()
}
