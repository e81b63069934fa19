//! The daemons themselves: `keelson control`, `keelson kubelet`, `keelson netd`.

use std::future::Future;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Control, DataDir};
use crate::cluster::{Cluster, Etcd};
use crate::supervisor::SUPERVISOR;
use crate::{event_loop, logging, pages, preflight};

/// Runs the control plane.
pub fn control(args: &Control) -> Result<()> {
    // Not known where there is no checkout; see `build.rs`.
    if let (Some(commit), Some(date)) = (option_env!("KEELSON_COMMIT"), option_env!("KEELSON_COMMIT_DATE")) {
        keelson_control::server::built_from(commit, date);
    }
    run(
        "control",
        &args.cluster.data_dir,
        |mut cluster, stop| async move {
            cluster.etcd = Etcd::choose(&args.etcd, cluster.etcd.take())?;
            let mut config = cluster.control();
            config.encryption = keelson_control::encryption::Settings {
                file: args.encryption_provider_config.clone(),
                automatic_reload: args.encryption_provider_config_automatic_reload,
            };
            config
                .admission_control_config_file
                .clone_from(&args.admission_control_config_file);
            Box::pin(keelson_control::run(config, stop))
                .await
                .map_err(Into::into)
        },
    )
}

/// Runs the node agent.
pub fn kubelet(args: &DataDir) -> Result<()> {
    run("kubelet", &args.data_dir, |cluster, stop| async move {
        preflight::root()?;
        Box::pin(keelson_kubelet::run(cluster.kubelet(), stop))
            .await
            .map_err(Into::into)
    })
}

/// Runs the network daemon.
pub fn netd(args: &DataDir) -> Result<()> {
    run("netd", &args.data_dir, |cluster, stop| async move {
        preflight::root()?;
        Box::pin(keelson_netd::run(cluster.netd(), stop))
            .await
            .map_err(Into::into)
    })
}

/// What is the same for all three: logging, the cluster's file, signals, and the reason left for the supervisor.
fn run<F, R>(name: &str, data_dir: &Path, daemon: F) -> Result<()>
where
    F: FnOnce(Cluster, Stop) -> R,
    R: Future<Output = Result<()>>,
{
    if let Ok(supervisor) = std::env::var(SUPERVISOR) {
        // Without its supervisor a daemon would go on unseen; the next `up` starts a new one that adopts the pods.
        set_pdeathsig(Signal::SIGTERM).context("prctl(PR_SET_PDEATHSIG)")?;
        if getppid().to_string() != supervisor {
            return Ok(()); // it died before we asked for the signal
        }
    }
    logging::init();
    let cluster = Cluster::require(data_dir)?;
    let error_file = error_file(&cluster, name);
    let result = event_loop::run(async {
        let stop = stop_signal()?;
        tokio::spawn(pages::release());
        daemon(cluster, stop).await
    });
    if let Err(error) = &result {
        // Only for a better message; the exit status says the rest.
        let _ = std::fs::write(error_file, format!("{error:#}"));
    }
    result
}

/// Where a daemon leaves the reason when it gives up.
pub fn error_file(cluster: &Cluster, name: &str) -> std::path::PathBuf {
    cluster.run_dir().join(format!("{name}.error"))
}

/// Resolves at SIGTERM or SIGINT.
pub type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The signals are caught from this call on.
pub fn stop_signal() -> Result<Stop> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM handler")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT handler")?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }))
}
