//! Upstream's API server on Debian's etcd, for the same requests: how fast a machine is differs from hour to hour, how two
//! programs compare does not.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::{Client, Config};
use serde_json::json;

use super::Server;
use etcd::Peer;

#[path = "../../../control/tests/peers/etcd.rs"]
mod etcd;

/// Of the one user, who may do everything.
const TOKEN: &str = "benchmark";

/// The two processes; they end with it, and with the benchmark whatever ends that. First the server, then what it is on.
pub struct Upstream {
    pub server: Server,
    _api: Running,
    _etcd: Peer,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Upstream {
    /// Starts the kube-apiserver that `KEELSON_BENCH_UPSTREAM` names (see tests/upstream/build); none without it. Its
    /// data is beside that of our cluster, on the same disk, and its key for tokens is ours.
    pub async fn start(cluster: &Path) -> Result<Option<Self>> {
        let program = std::env::var_os("KEELSON_BENCH_UPSTREAM").unwrap_or_default();
        if program.is_empty() {
            println!("beside upstream: not measured (KEELSON_BENCH_UPSTREAM names no kube-apiserver)");
            return Ok(None);
        }
        let dir = cluster.join("upstream");
        std::fs::create_dir_all(&dir)?;
        let etcd = Peer::start_below(&dir, "http", 1, |_| Vec::new()).context("there is no etcd")?;
        let (store, port) = (etcd.urls().join(","), etcd::free_port());
        let tokens = dir.join("tokens.csv");
        std::fs::write(&tokens, format!("{TOKEN},bench,bench,system:masters\n"))?;
        let pki = cluster.join("pki");
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let log = dir.join("kube-apiserver.log");
        let api = run(
            &log,
            Command::new("setpriv")
                .args(["--pdeathsig", "KILL"])
                .arg(&program)
                .args([
                    format!("--etcd-servers={store}"),
                    format!("--secure-port={port}"),
                    flag("cert-dir", &dir),
                    flag("token-auth-file", &tokens),
                    flag("service-account-signing-key-file", &pki.join("sa.key")),
                    flag("service-account-key-file", &pki.join("sa.pub")),
                ])
                .args(["--bind-address=127.0.0.1", "--insecure-port=0"])
                .args([
                    "--authorization-mode=RBAC",
                    "--service-cluster-ip-range=10.97.0.0/24",
                ])
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                // Pods get a volume with a token, as in later versions; else they would have to wait for a Secret.
                .arg("--feature-gates=BoundServiceAccountTokenVolume=true"),
        )?;
        let mut config = Config::new(format!("https://127.0.0.1:{port}").parse()?);
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(TOKEN.to_owned().into());
        let server = Server {
            name: "kube-apiserver and etcd",
            client: Client::try_from(config)?,
            pids: [Some(api.0.id()), etcd.pid(0)]
                .into_iter()
                .flatten()
                .map(i32::try_from)
                .collect::<Result<_, _>>()?,
        };
        let upstream = Self {
            server,
            _api: api,
            _etcd: etcd,
        };
        upstream.prepare().await.with_context(|| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            format!("kube-apiserver does not serve; it said:\n{said}")
        })?;
        Ok(Some(upstream))
    }

    /// Waits until it serves; then what its controllers would make.
    async fn prepare(&self) -> Result<()> {
        for attempt in 0.. {
            let Err(error) = self.server.send("GET", "/readyz", Vec::new()).await else {
                break;
            };
            if attempt == 300 {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for (path, object) in [
            (
                "/api/v1/namespaces",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}),
            ),
            (
                "/api/v1/namespaces/bench/serviceaccounts",
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
            ),
        ] {
            self.server.send("POST", path, object.to_string().into()).await?;
        }
        Ok(())
    }
}

fn run(log: &Path, command: &mut Command) -> Result<Running> {
    let said = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said);
    let child = command
        .spawn()
        .with_context(|| command.get_program().display().to_string())?;
    Ok(Running(child))
}
