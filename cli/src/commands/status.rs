//! `keelson status`: each daemon's pid, health and memory.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;

use super::output::print;
use crate::args::{Output, Status as Arguments};
use crate::cluster::Cluster;
use crate::supervisor::{DaemonState, Process, StateFile};

/// How long a daemon may take to answer before it counts as unhealthy.
const LIMIT: Duration = Duration::from_secs(5);
/// The daemons in the order in which they are shown.
pub const DAEMONS: [&str; 3] = ["control", "netd", "kubelet"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    id: String,
    data_dir: String,
    server: String,
    node: String,
    kubeconfig: String,
    supervisor_pid: Option<i32>,
    healthy: bool,
    daemons: Vec<Daemon>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Daemon {
    name: &'static str,
    pid: Option<i32>,
    healthy: bool,
    message: String,
    /// Proportional set size.
    memory_bytes: Option<u64>,
    restarts: u32,
}

/// Prints the report; fails if something is not healthy, so that scripts need not parse.
pub fn run(args: &Arguments) -> Result<()> {
    let cluster = Cluster::require(&args.cluster.data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(report(&cluster));
    match args.output {
        Output::Json => print(&(serde_json::to_string_pretty(&report)? + "\n")),
        Output::Table => print(&table(&report)),
    }
    if report.supervisor_pid.is_none() {
        bail!(
            "the cluster in {} is not running; start it with: keelson up --data-dir {0}",
            cluster.dir.display()
        );
    }
    if !report.healthy {
        bail!("not every daemon is healthy");
    }
    Ok(())
}

async fn report(cluster: &Cluster) -> Report {
    let state = StateFile::read(&cluster.run_dir());
    let supervisor_pid = state
        .as_ref()
        .map(|state| state.supervisor)
        .filter(|p| p.alive())
        .map(|p| p.pid);
    let mut daemons = Vec::new();
    for name in DAEMONS {
        let known = state.as_ref().and_then(|state| state.daemons.get(name)).cloned();
        daemons.push(daemon(cluster, name, known.unwrap_or_default()).await);
    }
    Report {
        id: cluster.id(),
        data_dir: cluster.dir.display().to_string(),
        server: cluster.server_url(),
        node: cluster.node_name.clone(),
        kubeconfig: cluster.kubeconfig.display().to_string(),
        healthy: supervisor_pid.is_some() && daemons.iter().all(|daemon| daemon.healthy),
        supervisor_pid,
        daemons,
    }
}

async fn daemon(cluster: &Cluster, name: &'static str, state: DaemonState) -> Daemon {
    let process = state.process.filter(|process| process.alive());
    let health = match process {
        None => Err("not running".to_owned()),
        Some(_) => match tokio::time::timeout(LIMIT, health(cluster, name)).await {
            Ok(result) => result.map_err(|error| format!("{error:#}")),
            Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
        },
    };
    Daemon {
        name,
        pid: process.map(|process| process.pid),
        healthy: health.is_ok(),
        message: health.err().unwrap_or_else(|| "ok".to_owned()),
        memory_bytes: process.and_then(Process::pss),
        restarts: state.restarts,
    }
}

/// Asks the daemon itself where it can be asked; the kubelet through the node's Ready condition.
async fn health(cluster: &Cluster, name: &str) -> Result<()> {
    match name {
        "control" => ready(&client(cluster).await?).await,
        "netd" => Ok(keelson_netd::client::Client::new(&cluster.netd().socket)
            .ready()
            .await?),
        _ => {
            let node = Api::<Node>::all(client(cluster).await?)
                .get(&cluster.node_name)
                .await?;
            match node_ready(&node) {
                Some((true, _)) => Ok(()),
                Some((false, message)) => bail!("node is not ready: {message}"),
                None => bail!("node has no Ready condition yet"),
            }
        }
    }
}

/// A client with the administrator's certificate.
pub async fn client(cluster: &Cluster) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(&cluster.kubeconfig)
        .with_context(|| format!("reading {}", cluster.kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Whether the API server says that it is ready.
pub async fn ready(client: &kube::Client) -> Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await?;
    Ok(())
}

/// Status and message of the Ready condition.
pub fn node_ready(node: &Node) -> Option<(bool, String)> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((
        condition.status == "True",
        condition.message.clone().unwrap_or_default(),
    ))
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "cluster {}  server {}  node {}  data {}\n{:<10} {:>8} {:>9} {:>9}  HEALTH\n",
        report.id, report.server, report.node, report.data_dir, "DAEMON", "PID", "MEMORY", "RESTARTS"
    );
    for daemon in &report.daemons {
        let pid = daemon.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let mib = |bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
        let memory = daemon.memory_bytes.map_or_else(|| "-".to_owned(), mib);
        let (name, restarts, message) = (daemon.name, daemon.restarts, &daemon.message);
        text = format!("{text}{name:<10} {pid:>8} {memory:>9} {restarts:>9}  {message}\n");
    }
    text
}
