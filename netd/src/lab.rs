//! For tests: a node and pods as network namespaces of their own, with real traffic between them.
//!
//! A [`Node`] is a thread that has left the host's namespace for good; nothing here touches the host's. Namespaces
//! are named by `/proc/PID/fd/N`, so nothing is mounted and nothing is left behind.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use crate::Config;
use crate::client::{AttachRequest, Attachment, Client};

/// Runs `test` in a fresh network namespace with loopback up, on a thread of its own with a tokio runtime.
pub(crate) fn on_node<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        sh("ip link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a shell command in the calling thread's namespace and returns what it printed.
pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A network namespace.
pub(crate) struct Namespace(File);

impl Namespace {
    /// A new one with nothing but loopback (down).
    pub(crate) fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        Self(std::thread::spawn(make).join().unwrap())
    }

    /// The calling thread's.
    pub(crate) fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// A path that leads to it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// Starts `work` inside.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let file = self.0.try_clone().unwrap();
        std::thread::spawn(move || {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Runs `work` inside and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(work).join().unwrap()
    }

    /// Runs a shell command inside.
    pub(crate) fn sh(&self, command: &str) -> String {
        let command = command.to_owned();
        self.run(move || sh(&command))
    }

    /// Serves TCP: tells each client `NAME PEER` and, until it closes, echoes what it sends.
    pub(crate) fn serve_tcp(&self, at: &str, name: &str) {
        let (at, name) = (at.to_owned(), name.to_owned());
        let listener = self.run(move || TcpListener::bind(at).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), name) = (stream, name.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let peer = stream.peer_addr().map(|p| p.ip().to_string()).unwrap_or_default();
                    let _ = writeln!(stream, "{name} {peer}");
                    let mut buffer = [0; 256];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        let _ = stream.write_all(&buffer[..length]);
                    }
                });
            }
        });
    }

    /// Serves UDP: answers every datagram with `NAME PEER`.
    pub(crate) fn serve_udp(&self, at: &str, name: &str) {
        let (at, name) = (at.to_owned(), name.to_owned());
        let socket = self.run(move || UdpSocket::bind(at).unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(format!("{name} {}", peer.ip()).as_bytes(), peer);
            }
        });
    }

    /// Connects and reads the first line: who answered, and whom it saw.
    pub(crate) fn ask_tcp(&self, to: &str) -> std::io::Result<(String, String)> {
        let to: SocketAddr = to.parse().unwrap();
        self.run(move || {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            let mut line = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            Ok(split(&line))
        })
    }

    /// Sends a datagram from `local` and reads the answer.
    pub(crate) fn ask_udp(&self, local: &str, to: &str) -> std::io::Result<(String, String)> {
        let (local, to) = (local.to_owned(), to.to_owned());
        self.run(move || {
            let socket = UdpSocket::bind(local)?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(Duration::from_millis(700)))?;
            socket.send(b"?")?;
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer)?;
            Ok(split(&buffer[..length]))
        })
    }
}

fn split(line: &[u8]) -> (String, String) {
    let line = String::from_utf8_lossy(line).into_owned();
    line.split_once(' ')
        .map_or((line.clone(), String::new()), |(a, b)| (a.into(), b.into()))
}

/// A pod's namespace and its connection.
pub(crate) struct Pod {
    pub(crate) namespace: Namespace,
    pub(crate) request: AttachRequest,
    pub(crate) attachment: Attachment,
}

impl Pod {
    /// Its primary address.
    pub(crate) fn ip(&self) -> IpAddr {
        self.attachment.ips[0]
    }
}

/// What a request to attach pod `name` looks like.
pub(crate) fn request(name: &str, netns: PathBuf) -> AttachRequest {
    AttachRequest {
        pod_uid: format!("uid-{name}"),
        namespace: "default".into(),
        name: name.into(),
        netns,
        host_ports: vec![],
    }
}

/// Attaches a new pod through `client`.
pub(crate) async fn pod(client: &Client, name: &str) -> Pod {
    let namespace = Namespace::new();
    let request = request(name, namespace.path());
    let attachment = client.attach(&request).await.unwrap();
    Pod {
        namespace,
        request,
        attachment,
    }
}

/// A configuration with everything under `directory`, as the binary would make it.
pub(crate) fn config(directory: &Path) -> Config {
    Config {
        id: "kl7e57".into(),
        node_name: "node".into(),
        kubeconfig: directory.join("kubeconfig"),
        socket: directory.join("netd.sock"),
        state_dir: directory.join("state"),
        pod_cidrs: vec!["10.42.0.0/24".into()],
        cluster_cidrs: vec!["10.42.0.0/16".into()],
        service_cidrs: vec!["10.43.0.0/16".into()],
        dns_ip: IpAddr::from([10, 43, 0, 10]),
        cluster_domain: "cluster.local".into(),
        node_ports: (30000, 32767),
        resolv_conf: directory.join("resolv.conf"),
    }
}

/// A daemon running in a task of its own.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) config: Config,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), crate::Error>>,
}

impl Running {
    /// Starts the daemon and waits until it answers.
    pub(crate) async fn start(config: Config) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let client = Client::new(&config.socket);
        let task = tokio::spawn(crate::run(config.clone(), async {
            let _ = stopped.await;
        }));
        for _ in 0..200 {
            match client.ready().await {
                Err(crate::client::Error::Unreachable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                _ => break,
            }
        }
        Self {
            client,
            config,
            stop,
            task,
        }
    }

    /// Stops it in an orderly way.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }

    /// Drops everything at once, as near to kill -9 as a task can come.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
