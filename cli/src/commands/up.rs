//! `keelson up`: the whole cluster on this machine.

mod detach;
mod prepare;
mod wait;

use std::cell::RefCell;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use tokio::sync::watch;

pub use prepare::is_kubeconfig_of;

use super::{daemon, down};
use crate::args::Up;
use crate::cluster::Cluster;
use crate::supervisor::{Daemon, Failure, Process, StateFile, supervise_all};
use crate::{logging, pages, preflight};

/// How long the whole start may take; a slow virtual machine needs most of it.
const START_LIMIT: Duration = Duration::from_mins(3);

/// Runs the cluster until Ctrl-C or SIGTERM, or starts it and returns.
pub fn run(args: &Up) -> Result<()> {
    if args.detach {
        return detach::start(args);
    }
    if args.report {
        detach::become_daemon()?;
    }
    let result = foreground(args);
    if args.report {
        detach::report(&result);
    }
    result
}

fn foreground(args: &Up) -> Result<()> {
    preflight::root()?;
    preflight::kernel()?;
    let dir = crate::cluster::create_dir(&args.cluster.data_dir)?;
    let _lock = lock(&dir)?;
    preflight::disk(&dir)?;
    let cluster = prepare::cluster(args, &dir)?;
    // Daemons of a supervisor that was killed are ending (they asked for a signal on its death); their port is ours next.
    if let Some(error) = down::stop_daemons(&cluster.run_dir()).first() {
        bail!("{error}");
    }
    preflight::port_free(cluster.listen)?;
    prepare::files(&cluster)?;
    logging::init();
    if let Err(missing) = preflight::cgroup_limits() {
        tracing::warn!("pods run without CPU and memory limits: {missing:#}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.spawn(pages::release());
    let result = runtime.block_on(supervised(args, &cluster));
    drop(runtime);
    tracing::info!("stopping pods");
    let errors = down::stop_node(&cluster);
    for error in &errors {
        tracing::error!("{error}");
    }
    // The state file names processes that are gone; without it `status` says so at once.
    let _ = std::fs::remove_file(cluster.run_dir().join("daemons.json"));
    result?;
    if errors.is_empty() {
        Ok(())
    } else {
        bail!("{}", errors.join("; "))
    }
}

/// One supervisor per data directory; released by the kernel however the process ends.
pub fn lock(dir: &std::path::Path) -> Result<Flock<std::fs::File>> {
    let path = dir.join("lock");
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        anyhow!(
            "a cluster is already running in {0}; see: keelson status --data-dir {0}, or stop it with: keelson down --data-dir {0}",
            dir.display()
        )
    })
}

/// Starts the daemons, announces readiness, and waits for the end.
async fn supervised(args: &Up, cluster: &Cluster) -> Result<()> {
    let me = Process::current().context("reading /proc/self/stat")?;
    let state = RefCell::new(StateFile::create(&cluster.run_dir(), me)?);
    let stop = watch::Sender::new(false);
    let (ready_sender, ready) = watch::channel(false);
    let signal = daemon::stop_signal()?;
    let daemons: Vec<Daemon> = super::status::DAEMONS
        .iter()
        .map(|name| describe(name, cluster, args.report))
        .collect();
    let running = supervise_all(&daemons, &state, &stop, &ready);
    let announce = async {
        match tokio::time::timeout(START_LIMIT, wait::until_ready(cluster)).await {
            Ok(result) => result?,
            Err(_) => bail!(
                "the cluster was not ready within {} s: {}",
                START_LIMIT.as_secs(),
                wait::blame(cluster).await
            ),
        }
        ready_sender.send_replace(true);
        if args.report {
            detach::ready();
        } else {
            welcome(cluster);
        }
        std::future::pending::<Result<()>>().await
    };
    tokio::pin!(running);
    let result = tokio::select! {
        result = &mut running => return result.map_err(explain),
        result = announce => result,
        () = signal => Ok(()),
    };
    tracing::info!("stopping the daemons");
    stop.send_replace(true);
    running.await.map_err(explain)?;
    result
}

fn explain(failure: Failure) -> anyhow::Error {
    anyhow!(failure).context("the cluster could not start")
}

fn describe(name: &'static str, cluster: &Cluster, to_file: bool) -> Daemon {
    Daemon {
        program: "/proc/self/exe".into(),
        name,
        data_dir: cluster.dir.clone(),
        log: to_file.then(|| cluster.log_dir().join(format!("{name}.log"))),
        error_file: daemon::error_file(cluster, name),
    }
}

fn welcome(cluster: &Cluster) {
    let mut out = std::io::stdout();
    // A closed terminal must not end the cluster.
    let _ = writeln!(
        out,
        "\nThe cluster is ready: {}\n\n  export KUBECONFIG={}\n  kubectl get nodes\n\nCtrl-C ends it.\n",
        cluster.server_url(),
        cluster.kubeconfig.display()
    );
}
