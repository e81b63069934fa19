//! A server of a test's own, with authorities, a pod and clients.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::*;
use keelson_streams::spdy::Stream;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::server::{PodLookup, ServerConfig, serve};

static COUNTER: AtomicU32 = AtomicU32::new(0);
pub(super) const UID: &str = "11111111-2222-3333-4444-555555555555";

/// Pods as the test says, containers as the runtime says.
pub(super) struct Lookup {
    runtime: NodeRuntime,
    container: Mutex<Option<ContainerSpec>>,
}

impl PodLookup for Lookup {
    fn pod(&self, namespace: &str, name: &str) -> Option<Pod> {
        self.pods().into_iter().find(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace) && pod.metadata.name.as_deref() == Some(name)
        })
    }

    fn pods(&self) -> Vec<Pod> {
        let pod = serde_json::json!({
            "metadata": {"namespace": "default", "name": "pod", "uid": UID},
            "spec": {"containers": [{"name": "main"}, {"name": "waiting"}]},
            "status": {"containerStatuses": [{
                "name": "waiting", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ContainerCreating"}},
            }]},
        });
        vec![serde_json::from_value(pod).unwrap()]
    }

    fn container(&self, pod_uid: &str, container: &str, previous: bool) -> Option<ContainerState> {
        let id = self.container.lock().unwrap().as_ref()?.id.clone();
        if pod_uid != UID || container != "main" || previous {
            return None;
        }
        self.runtime.container(&id).unwrap()
    }

    fn log_path(&self, _: &str, container: &str, previous: bool) -> Option<PathBuf> {
        if container != "main" || previous {
            return None;
        }
        self.container.lock().unwrap().as_ref()?.log_path.clone()
    }
}

/// An authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Certificate and key, PEM.
    fn sign(&self, user: &str, group: &str, server: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names = if server {
            vec!["127.0.0.1".to_owned()]
        } else {
            Vec::new()
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        let usage = if server {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        };
        params.extended_key_usages = vec![usage];
        (
            params.signed_by(&key, &self.issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

/// A server with one pod.
pub(super) struct Host {
    pub runtime: NodeRuntime,
    pub authority: Authority,
    pub directory: tempfile::TempDir,
    lookup: Arc<Lookup>,
    address: std::net::SocketAddr,
    /// What the API server was asked.
    pub reviews: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(errors) = self.runtime.reset() {
            eprintln!("reset: {errors:?}");
        }
    }
}

impl Host {
    pub(super) async fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("keelson-server-")
            .tempdir()
            .unwrap();
        let path = |name: &str| directory.path().join(name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let runtime = NodeRuntime::open(NodeConfig {
            root: path("root"),
            run_dir: path("run"),
            cgroup_root: format!("keelson-server-{}-{number}", std::process::id()),
            cgroups: false,
        })
        .unwrap();
        let authority = Authority::new();
        let (certificate, key) = authority.sign("node", "nodes", true);
        fs::write(path("ca.pem"), &authority.pem).unwrap();
        fs::write(path("cert.pem"), certificate).unwrap();
        fs::write(path("key.pem"), key).unwrap();
        let lookup = Arc::new(Lookup {
            runtime: runtime.clone(),
            container: Mutex::new(None),
        });
        let reviews = Arc::new(Mutex::new(Vec::new()));
        let config = ServerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            client_ca: path("ca.pem"),
            tls_cert: path("cert.pem"),
            tls_key: path("key.pem"),
            node_name: "node-1".to_owned(),
        };
        let server = serve(config, runtime.clone(), lookup.clone(), api(reviews.clone()))
            .await
            .unwrap();
        Self {
            runtime,
            authority,
            directory,
            lookup,
            address: server.address,
            reviews,
        }
    }

    /// Starts the pod's container.
    pub(super) fn start(&self, script: &str, change: impl FnOnce(&mut ContainerSpec)) -> ContainerSpec {
        let rootfs = self.directory.path().join("image");
        busybox(&rootfs);
        let id = self.runtime.new_container_id();
        let mut spec: ContainerSpec = serde_json::from_value(serde_json::json!({
            "id": id, "name": "main", "attempt": 0, "image": "busybox", "image_id": "busybox",
            "rootfs": {"Layers": [rootfs]}, "args": ["/bin/sh", "-c", script], "env": ["PATH=/bin"], "cwd": "",
            "user": User::default(), "mounts": [], "devices": [], "resources": Resources::default(),
            "cap_add": [], "cap_drop": [], "privileged": false, "no_new_privileges": false,
            "read_only_rootfs": false, "unmasked_proc": false, "seccomp": "RuntimeDefault", "tty": false,
            "stdin": false, "stdin_once": false, "log_path": self.directory.path().join("logs/0.log"),
            "log_max_size": 10 << 20, "log_max_files": 5, "stop_signal": null, "labels": {},
        }))
        .unwrap();
        change(&mut spec);
        fs::create_dir_all(self.directory.path().join("logs")).unwrap();
        let sandbox = SandboxSpec {
            id: UID.into(),
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
        };
        self.runtime.create_sandbox(&sandbox).unwrap();
        self.runtime.create_container(UID, &spec).unwrap();
        *self.lookup.container.lock().unwrap() = Some(spec.clone());
        self.runtime.start_container(&spec.id).unwrap();
        spec
    }

    /// Names a log without a container.
    pub(super) fn set_log(&self, contents: &str) -> PathBuf {
        let spec = self.start("true", |_| {});
        let path = spec.log_path.unwrap();
        while !matches!(
            self.runtime.container(&spec.id).unwrap().unwrap().phase,
            Phase::Exited { .. }
        ) {
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::write(&path, contents).unwrap();
        path
    }

    /// A TLS connection as a user, or as nobody.
    pub(super) async fn connect_as(
        &self,
        who: Option<(&Authority, &str, &str)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap())
            .unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            None => builder.with_no_client_auth(),
            Some((authority, user, group)) => {
                let (certificate, key) = authority.sign(user, group, false);
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// A connection as the API server.
    pub(super) async fn connect(&self) -> TlsStream<TcpStream> {
        let who = Some((&self.authority, "kube-apiserver-kubelet-client", "none"));
        self.connect_as(who).await.unwrap()
    }

    /// Status and body of a GET as the API server.
    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let stream = self.connect().await;
        request(
            stream,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .await
        .unwrap()
    }

    /// A WebSocket as the API server; status and body if it is refused.
    pub(super) async fn websocket(
        &self,
        path: &str,
        protocol: &str,
    ) -> Result<WebSocketStream<TlsStream<TcpStream>>, (u16, String)> {
        let mut request = format!("wss://127.0.0.1{path}").into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol.parse().unwrap());
        match tokio_tungstenite::client_async(request, self.connect().await).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], protocol);
                Ok(socket)
            }
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A connection upgraded to SPDY.
    pub(super) async fn spdy(&self, path: &str, protocol: &str) -> TlsStream<TcpStream> {
        let mut stream = self.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
             X-Stream-Protocol-Version: {protocol}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert!(
            answer
                .to_lowercase()
                .contains(&format!("x-stream-protocol-version: {protocol}")),
            "{answer}"
        );
        stream
    }
}

/// Sends a request that closes the connection, and reads status and body.
pub(super) async fn request(mut stream: TlsStream<TcpStream>, head: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
        dechunk(body)
    } else {
        body.to_owned()
    };
    Ok((status, body))
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// An API server that knows one token, and lets `friend` and itself do everything.
fn api(reviews: Arc<Mutex<Vec<serde_json::Value>>>) -> kube::Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let reviews = reviews.clone();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut review: serde_json::Value = serde_json::from_slice(&body).unwrap();
            reviews.lock().unwrap().push(review.clone());
            review["status"] = match review["spec"]["token"].as_str() {
                Some("good") => serde_json::json!({"authenticated": true, "user": {"username": "friend"}}),
                Some(_) => serde_json::json!({"authenticated": false}),
                None => {
                    let user = review["spec"]["user"].as_str().unwrap_or_default();
                    serde_json::json!({"allowed": (matches!(user, "friend" | "kube-apiserver-kubelet-client"))})
                }
            };
            let body = Full::new(bytes::Bytes::from(review.to_string()));
            Ok::<_, Infallible>(Response::builder().status(201).body(body).unwrap())
        }
    });
    kube::Client::new(service, "default")
}

/// A root filesystem with busybox and its names.
fn busybox(root: &std::path::Path) {
    for directory in ["bin", "etc", "proc", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let _ = fs::copy("/usr/bin/busybox", root.join("bin/busybox"));
    for name in [
        "sh", "cat", "echo", "sleep", "stty", "yes", "nc", "printf", "true", "seq", "ls", "id", "wc",
    ] {
        let _ = symlink("busybox", root.join("bin").join(name));
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
}

/// All that comes on a stream.
pub(super) async fn all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    let read = async {
        while let Some(piece) = stream.incoming.recv().await {
            all.extend_from_slice(&piece);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("no end");
    all
}
