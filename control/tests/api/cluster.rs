//! A control plane in this process on a free loopback port, with everything in a temporary directory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::{Method, Request};
use keelson_control::store::Servers;
use keelson_control::{Config, Error, pki};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::peer::{Peer, free_port};

/// Where the real kubectl 1.33 is; `KUBECTL` names another one.
pub const KUBECTL: &str = "/usr/lib/google-cloud-sdk/bin/kubectl.1.33";

/// A running control plane.
pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub config: Config,
    running: Option<Running>,
    /// Ends after the control plane.
    etcd: Option<Peer>,
}

/// Whether these tests run on an etcd of their own instead of the embedded store: `KEELSON_TEST_STORE=etcd`.
pub fn on_etcd() -> bool {
    match std::env::var("KEELSON_TEST_STORE").as_deref() {
        Ok("etcd") => true,
        Ok(other) => panic!("KEELSON_TEST_STORE={other}: \"etcd\" is known"),
        Err(_) => false,
    }
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Error>>,
}

/// What kubectl left.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Output {
    /// Standard output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Standard error of a command that must have failed.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.code, 0, "{}", self.out);
        self.err
    }
}

impl Cluster {
    /// Starts one and waits until it is ready.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut config = config(dir.path(), listen);
        let etcd = on_etcd().then(|| Peer::start(1).expect("etcd is asked for"));
        config.etcd = etcd.as_ref().map(|peer| Servers::new(peer.urls()));
        let request = pki::Request {
            api_sans: Vec::new(),
            service_cidrs: config.service_cidrs.clone(),
            cluster_domain: config.cluster_domain.clone(),
            node_name: "node".to_owned(),
            node_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        pki::ensure(&config.pki_dir, &request).unwrap();
        let mut cluster = Self {
            dir,
            config,
            running: None,
            etcd,
        };
        let url = format!("https://{listen}");
        let path = cluster.kubeconfig();
        pki::write_kubeconfig(&path, &url, &cluster.config.pki_dir, "admin", "kubernetes-admin").unwrap();
        cluster.resume();
        // Pods are admitted once the controllers have made their service account.
        cluster.eventually("a service account", |cluster| {
            cluster
                .get("/api/v1/namespaces/default/serviceaccounts/default")
                .0
                == 200
        });
        cluster
    }

    /// Waits until something is so; the test ends after a minute, in which a disk that others use writes it as well.
    pub fn eventually(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is(self) {
            assert!(began.elapsed() < Duration::from_mins(1), "not yet: {what}");
            let runs = self
                .running
                .as_ref()
                .is_none_or(|running| !running.thread.is_finished());
            assert!(runs, "the control plane has ended: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again after [`Cluster::stop`].
    pub fn resume(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let config = self.config.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(keelson_control::run(config, async {
                let _ = stopped.await;
            }))
        });
        self.running = Some(Running { stop, thread });
        self.eventually("ready", |cluster| cluster.get("/readyz").0 == 200);
    }

    /// Stops it in an orderly way.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            running.thread.join().unwrap().unwrap();
        }
    }

    /// Where the store keeps its files.
    pub fn store_dir(&self) -> PathBuf {
        match &self.etcd {
            Some(peer) => peer.data_dir(0),
            None => self.config.data_dir.clone(),
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("admin.kubeconfig")
    }

    /// Runs kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with(arguments, "")
    }

    /// Runs kubectl with an input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        let binary = std::env::var("KUBECTL").unwrap_or_else(|_| KUBECTL.to_owned());
        self.run(&binary, arguments, input)
    }

    /// Runs the kubectl of a version, which lies beside the usual one.
    pub fn kubectl_of(&self, version: &str, arguments: &[&str]) -> Output {
        let binary = std::env::var("KUBECTL").unwrap_or_else(|_| KUBECTL.to_owned());
        let binary = Path::new(&binary).with_file_name(format!("kubectl.{version}"));
        self.run(&binary.to_string_lossy(), arguments, "")
    }

    fn run(&self, binary: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(binary)
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.dir.path().join("cache"))
            .arg("--request-timeout=20s")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A client with the administrator's certificate.
    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
                .await
                .unwrap();
        // Answers are to be seen as they are, not tried again.
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// One request: status code and body, `Null` if it is not JSON.
    pub fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let (code, bytes) = self.raw(method, path, headers, body);
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// One request: status code and body.
    pub fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
        self.warned(method, path, headers, body)
            .map_or_else(|| (0, Vec::new()), |(code, _, body)| (code, body))
    }

    /// One request: status code, warnings and body; nothing if there was no answer.
    pub fn warned(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, Vec<String>, Vec<u8>)> {
        runtime().block_on(async {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(kube::client::Body::from(body.to_vec())).unwrap();
            let response = match self.client().await.send(request).await {
                Ok(response) => response,
                Err(error) => {
                    eprintln!("{path}: no answer: {error:?}");
                    return None;
                }
            };
            let code = response.status().as_u16();
            let warnings = response.headers().get_all("warning").iter();
            let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
            let body = response.into_body().collect_bytes().await.unwrap();
            Some((code, warnings, body.to_vec()))
        })
    }

    /// A GET without a certificate.
    pub fn anonymous(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        runtime().block_on(async {
            let mut config = kube::Config::new(format!("https://{}", self.config.listen).parse().unwrap());
            config.accept_invalid_certs = true;
            config.default_retry = false;
            let client = kube::Client::try_from(config).unwrap();
            let mut request = Request::get(path);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(kube::client::Body::from(Vec::new())).unwrap();
            let response = client.send(request).await.unwrap();
            let code = response.status().as_u16();
            let body = response.into_body().collect_bytes().await.unwrap();
            (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
        })
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.request(Method::GET, path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(body).unwrap();
        self.request(Method::POST, path, &[("content-type", "application/json")], &body)
    }

    pub fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(body).unwrap();
        self.request(Method::PUT, path, &[("content-type", "application/json")], &body)
    }

    pub fn patch(&self, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        let body = serde_json::to_vec(body).unwrap();
        let media = format!("application/{kind}");
        self.request(Method::PATCH, path, &[("content-type", &media)], &body)
    }

    pub fn delete(&self, path: &str, options: &Value) -> (u16, Value) {
        let body = if options.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(options).unwrap()
        };
        self.request(
            Method::DELETE,
            path,
            &[("content-type", "application/json")],
            &body,
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            let _ = running.thread.join();
        }
    }
}

/// A small runtime for one call.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn config(dir: &Path, listen: SocketAddr) -> Config {
    Config {
        data_dir: dir.join("control"),
        pki_dir: dir.join("pki"),
        listen,
        advertise: listen,
        service_cidrs: vec!["10.43.0.0/16".to_owned()],
        cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
        dns_ip: IpAddr::V4(Ipv4Addr::new(10, 43, 0, 10)),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: None,
        encryption: keelson_control::encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: true,
    }
}

/// A ConfigMap.
pub fn config_map(name: &str, data: &str) -> Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "test"}}, "data": {"k": data},
    })
}

/// Where ConfigMaps of the default namespace are.
pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";
