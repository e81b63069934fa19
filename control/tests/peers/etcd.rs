//! A real etcd of one or more members on free loopback ports, with everything in a temporary directory.
//!
//! Included by unit and integration tests and by the benchmark alike (`#[path]`), of which none uses all of it.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A cluster of etcd's own.
#[derive(Debug)]
pub struct Peer {
    dir: tempfile::TempDir,
    members: Vec<Member>,
    scheme: &'static str,
    /// Further arguments of each member.
    arguments: Vec<String>,
}

#[derive(Debug)]
struct Member {
    name: String,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl Peer {
    /// Starts it. `None`, with a word about it, if the program is not there; that is a failure where peers are wanted
    /// (`KEELSON_TEST_PEERS`).
    pub fn start(members: usize) -> Option<Self> {
        Self::start_with("http", members, |_| Vec::new())
    }

    /// The same with further arguments, made of the temporary directory, and `https` for TLS.
    pub fn start_with(
        scheme: &'static str,
        members: usize,
        arguments: impl Fn(&Path) -> Vec<String>,
    ) -> Option<Self> {
        Self::start_below(&std::env::temp_dir(), scheme, members, arguments)
    }

    /// The same with its temporary directory in this one.
    pub fn start_below(
        parent: &Path,
        scheme: &'static str,
        members: usize,
        arguments: impl Fn(&Path) -> Vec<String>,
    ) -> Option<Self> {
        if Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            let why = "there is no etcd on PATH (Debian: apt-get install etcd-server etcd-client)";
            assert!(std::env::var_os("KEELSON_TEST_PEERS").is_none(), "{why}");
            eprintln!("SKIPPED: {why}");
            return None;
        }
        let dir = tempfile::tempdir_in(parent).unwrap();
        let arguments = arguments(dir.path());
        let members = (0..members).map(|number| Member {
            name: format!("m{number}"),
            client: free_port(),
            peer: free_port(),
            process: None,
        });
        let mut peer = Self {
            members: members.collect(),
            scheme,
            arguments,
            dir,
        };
        for member in 0..peer.members.len() {
            peer.run(member);
        }
        for member in 0..peer.members.len() {
            peer.wait(member);
        }
        Some(peer)
    }

    /// Where clients connect to.
    pub fn urls(&self) -> Vec<String> {
        let url = |member: &Member| format!("{}://127.0.0.1:{}", self.scheme, member.client);
        self.members.iter().map(url).collect()
    }

    /// Where a member keeps its files.
    pub fn data_dir(&self, member: usize) -> std::path::PathBuf {
        self.dir.path().join(&self.members[member].name)
    }

    /// The process of a member that has not been killed.
    pub fn pid(&self, member: usize) -> Option<u32> {
        self.members[member].process.as_ref().map(Child::id)
    }

    /// Stops a member as a machine that hangs does: its connections stay, and nothing answers. With `false`, it goes on.
    pub fn pause(&self, member: usize, pause: bool) {
        if let Some(process) = &self.members[member].process {
            let signal = if pause { "-STOP" } else { "-CONT" };
            let status = Command::new("kill")
                .args([signal, &process.id().to_string()])
                .status();
            assert!(status.unwrap().success());
        }
    }

    /// Ends a member with SIGKILL.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts a member again that was killed, and waits until it serves.
    pub fn restart(&mut self, member: usize) {
        self.run(member);
        self.wait(member);
    }

    /// Which member leads; `None` between two leaders.
    pub fn leader(&self) -> Option<usize> {
        (0..self.members.len()).find(|member| {
            let port = self.members[*member].client;
            metrics(port).is_some_and(|text| text.contains("\netcd_server_is_leader 1\n"))
        })
    }

    /// Runs etcdctl against the first member.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg("--endpoints")
            .arg(self.urls().join(","))
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn run(&mut self, number: usize) {
        let url = |port: u16| format!("{}://127.0.0.1:{port}", self.scheme);
        let peer_url = |port: u16| format!("http://127.0.0.1:{port}");
        let all: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{}={}", member.name, peer_url(member.peer)))
            .collect();
        let member = &self.members[number];
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("{}.log", member.name)))
            .unwrap();
        // It ends with the thread that started it, whatever becomes of the test.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "etcd", "--name", &member.name])
            .arg("--data-dir")
            .arg(self.data_dir(number))
            .args(["--listen-client-urls", &url(member.client)])
            .args(["--advertise-client-urls", &url(member.client)])
            .args(["--listen-peer-urls", &peer_url(member.peer)])
            .args(["--initial-advertise-peer-urls", &peer_url(member.peer)])
            .args(["--initial-cluster", &all.join(",")])
            .args([
                "--listen-metrics-urls",
                &format!("http://127.0.0.1:{}", metrics_port(member.client)),
            ])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.members[number].process = Some(process);
    }

    fn wait(&self, number: usize) {
        let member = &self.members[number];
        let began = Instant::now();
        while !healthy(member.client) {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "etcd does not start: {}",
                std::fs::read_to_string(self.dir.path().join(format!("{}.log", member.name))).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            self.kill(member);
        }
    }
}

/// A pair of neighbouring ports, of which this is the first. They are free now, and no connection is given them meanwhile: they
/// are below `ip_local_port_range` (ip(7)), which the kernel takes a connection's own port from.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const PAIRS: u64 = 9_000;
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = FIRST + 2 * (random % PAIRS) as u16;
        if GIVEN.lock().unwrap().insert(port) && free(port) && free(port + 1) {
            return port;
        }
    }
}

fn metrics_port(client: u16) -> u16 {
    client + 1
}

fn get(port: u16, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn metrics(client: u16) -> Option<String> {
    get(metrics_port(client), "/metrics")
}

fn healthy(client: u16) -> bool {
    get(metrics_port(client), "/health").is_some_and(|text| text.contains("\"health\":\"true\""))
}
