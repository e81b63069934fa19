//! Memory (PSS) and CPU of the daemons and of the shims.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use keelson_tests::Cluster;

use crate::process::{cpu_ticks, pss};

/// Long enough for several lease renewals and probes.
const WINDOW: Duration = Duration::from_secs(30);

/// Bytes of each daemon, and of all shims together.
#[derive(Debug)]
pub struct Footprint {
    daemons: BTreeMap<String, u64>,
    shims: u64,
}

/// Measures for half a minute and prints.
pub async fn take(cluster: &Cluster, title: &str) -> Result<Footprint> {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pids = pids(cluster)?;
    let before: BTreeMap<_, _> = pids
        .iter()
        .map(|(name, pid)| (name.clone(), cpu_ticks(*pid)))
        .collect();
    tokio::time::sleep(WINDOW).await;
    let mut daemons = BTreeMap::new();
    let mut total_share = 0.0;
    for (name, pid) in &pids {
        let used = cpu_ticks(*pid).saturating_sub(before.get(name).copied().unwrap_or_default());
        let share = used as f64 / WINDOW.as_secs_f64();
        total_share += share;
        let memory = pss(*pid);
        println!(
            "{title}: {name}: {:.1} MB PSS, {share:.2} % of a core",
            mb(memory)
        );
        daemons.insert(name.clone(), memory);
    }
    let id = cluster.status()?["id"].as_str().context("id")?.to_owned();
    let shims = shim_pids(&id).into_iter().map(pss).sum();
    let total = daemons.values().sum::<u64>();
    println!(
        "{title}: all daemons: {:.1} MB PSS, {total_share:.2} % of a core; shims: {:.1} MB",
        mb(total),
        mb(shims)
    );
    Ok(Footprint { daemons, shims })
}

/// What each pod adds.
pub fn per_pod(idle: &Footprint, loaded: &Footprint, pods: u64) {
    let shims = loaded.shims.saturating_sub(idle.shims) / pods;
    let daemons = loaded
        .daemons
        .values()
        .sum::<u64>()
        .saturating_sub(idle.daemons.values().sum())
        / pods;
    println!(
        "per pod: {} KB of shim, {} KB in the daemons (PSS)",
        shims / 1000,
        daemons / 1000
    );
}

/// The supervisor and the daemons.
fn pids(cluster: &Cluster) -> Result<BTreeMap<String, i32>> {
    let status = cluster.status()?;
    let mut pids = BTreeMap::new();
    pids.insert(
        "up".to_owned(),
        status["supervisorPid"].as_i64().context("supervisorPid")? as i32,
    );
    for name in ["control", "netd", "kubelet"] {
        pids.insert(name.to_owned(), cluster.pid(name)?);
    }
    Ok(pids)
}

/// Processes that run this cluster's shim: a sealed memory file, in the cluster's cgroup.
fn shim_pids(id: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            program.to_string_lossy().contains("keelson-shim") && cgroups.contains(&format!("keelson-{id}"))
        })
        .collect()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
