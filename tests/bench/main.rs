//! `make bench`: the figures of docs/SPECIFICATION.md, measured on this machine in one run, against a private cluster.

mod api;
mod footprint;
mod pods;
mod process;
mod statistics;

use anyhow::{Context, Result};
use keelson_tests::Cluster;
use kube::config::{KubeConfigOptions, Kubeconfig};

fn main() -> Result<()> {
    let cluster = Cluster::start()?;
    print_machine();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(measure(&cluster));
    if result.is_err() {
        eprintln!("{}", cluster.logs());
    }
    result
}

async fn measure(cluster: &Cluster) -> Result<()> {
    let client = client(cluster).await?;
    // Everything has settled when the first pod has come and gone.
    pods::one(&client, "warm-up").await?;
    let idle = footprint::take(cluster, "idle, 0 pods").await?;
    pods::series(&client, 20).await?;
    let burst = pods::burst(&client, 50).await?;
    let loaded = footprint::take(cluster, "50 pods").await?;
    footprint::per_pod(&idle, &loaded, 50);
    pods::remove(&client, burst).await?;
    api::measure(cluster, &client).await
}

async fn client(cluster: &Cluster) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(cluster.dir().join("admin.kubeconfig"))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    kube::Client::try_from(config).context("client")
}

fn print_machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "machine: {cores} x {}, Linux {}",
        model.trim_start_matches(['\t', ' ', ':']),
        kernel.trim()
    );
}
