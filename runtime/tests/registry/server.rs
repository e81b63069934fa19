//! A registry of our own, and images to put there.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keelson_runtime::image::{Access, Credentials, ImageStore, PullOptions};

/// `tester` with the password `secret`, as htpasswd -B writes it.
const HTPASSWD: &str = "tester:$2b$05$IX1JpuFXDiQt54JaGVH2l.cmB8Uj52xixcMnpolpn6WY0ZiJWevV6\n";

/// What a registry wants of its clients.
#[derive(Default)]
pub struct Wants<'a> {
    pub password: bool,
    /// Certificate and key, PEM.
    pub tls: Option<(&'a str, &'a str)>,
}

/// A running docker-registry; it ends with this.
pub struct Registry {
    child: Child,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Registry {
    pub fn start(wants: &Wants<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: 127.0.0.1:{port}\n",
            path("data").display()
        );
        if let Some((certificate, key)) = wants.tls {
            fs::write(path("cert.pem"), certificate).unwrap();
            fs::write(path("key.pem"), key).unwrap();
            let tls = format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                path("cert.pem").display(),
                path("key.pem").display()
            );
            config += &tls;
        }
        if wants.password {
            fs::write(path("htpasswd"), HTPASSWD).unwrap();
            let auth = format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                path("htpasswd").display()
            );
            config += &auth;
        }
        fs::write(path("config.yml"), config).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("these tests need Debian's docker-registry (apt-get install docker-registry)");
        let registry = Self {
            child,
            port,
            directory,
        };
        // Nothing but a connection tells that it listens.
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "docker-registry does not start: {}",
                fs::read_to_string(registry.directory.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// Files of blobs in the registry's storage.
    pub fn blobs(&self) -> Vec<PathBuf> {
        let root = self.directory.path().join("data/docker/registry/v2/blobs/sha256");
        let mut found = Vec::new();
        for prefix in fs::read_dir(root).into_iter().flatten().flatten() {
            for blob in fs::read_dir(prefix.path()).unwrap() {
                found.push(blob.unwrap().path().join("data"));
            }
        }
        found
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store below a directory that goes with it.
pub struct Store {
    pub directory: tempfile::TempDir,
    pub store: ImageStore,
}

impl Store {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A runtime bundle with some files.
pub fn bundle(at: &Path, text: &str) {
    fs::create_dir_all(at.join("rootfs/bin")).unwrap();
    fs::write(at.join("rootfs/bin/sh"), text).unwrap();
    fs::write(at.join("rootfs/large"), text.repeat(100_000)).unwrap();
    let config = r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["/bin/sh"],"env":["A=b"],"cwd":"/"}}"#;
    fs::write(at.join("config.json"), config).unwrap();
}

/// A docker archive of several layers.
pub fn docker_archive(at: &Path, layers: usize) {
    use keelson_runtime::image::Digest;
    let mut archive = tar::Builder::new(fs::File::create(at).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    let (mut names, mut diff_ids) = (Vec::new(), Vec::new());
    for number in 0..layers {
        let mut layer = tar::Builder::new(Vec::new());
        let contents: Vec<u8> = (0..200_000u32)
            .map(|n| (n.wrapping_mul(7 + number as u32) >> 3) as u8)
            .collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        layer
            .append_data(&mut header, format!("file{number}"), &contents[..])
            .unwrap();
        let layer = layer.into_inner().unwrap();
        diff_ids.push(Digest::of(&layer));
        // As newer archives have it: a layer may be packed.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&layer).unwrap();
        let packed = packed.finish().unwrap();
        names.push(format!("{number}/layer.tar"));
        add(&names[number], &packed);
    }
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "created": "2020-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    add("config.json", config.to_string().as_bytes());
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["several:1"], "Layers": names}]);
    add("manifest.json", manifest.to_string().as_bytes());
    archive.into_inner().unwrap();
}

pub fn password(password: &str) -> Access {
    Access {
        credentials: Credentials::Password("tester".to_owned(), password.to_owned()),
        ..Access::default()
    }
}

pub fn with(access: Access) -> PullOptions {
    PullOptions {
        access,
        platform: None,
    }
}
