//! The life of one daemon under the supervisor.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{Process, StateFile};

/// The variable that tells a daemon the pid of its supervisor.
pub const SUPERVISOR: &str = "KEELSON_SUPERVISOR";
/// A daemon that lived this long failed for a new reason: the pause before its restart starts small again.
const SETTLED: Duration = Duration::from_secs(30);
/// First and longest pause before a restart.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a daemon may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);

/// One daemon to run.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// The binary.
    pub program: PathBuf,
    /// Subcommand and name: `control`, `netd` or `kubelet`.
    pub name: &'static str,
    /// The cluster's directory.
    pub data_dir: PathBuf,
    /// Where its log goes; `None` is the supervisor's own stderr.
    pub log: Option<PathBuf>,
    /// Where it leaves the reason when it gives up.
    pub error_file: PathBuf,
}

/// A daemon gave up before the cluster was ready.
#[derive(Debug, thiserror::Error)]
#[error("{daemon}: {reason}")]
pub struct Failure {
    /// Which daemon.
    pub daemon: &'static str,
    /// Its own words, or its exit status.
    pub reason: String,
}

/// Runs a daemon until `stop` turns true. Returns early only if it gives up by itself, or cannot be started, while `ready`
/// is still false: later the machine may be short of something for a while, and the pods go on.
pub async fn supervise(
    daemon: &Daemon,
    state: &RefCell<StateFile>,
    mut stop: watch::Receiver<bool>,
    ready: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut pause = PAUSES.0;
    let mut restarts = 0;
    while !*stop.borrow() {
        let started = Instant::now();
        match daemon.spawn() {
            Err(error) if !*ready.borrow() => return Err(daemon.failure(error.to_string())),
            Err(error) => {
                tracing::warn!(daemon = daemon.name, %error, "daemon could not be started; trying again");
            }
            Ok(mut child) => {
                let process = child.id().and_then(|pid| Process::of(pid as i32));
                state.borrow_mut().update(daemon.name, process, restarts);
                let status = tokio::select! {
                    status = child.wait() => status,
                    () = stopped(&mut stop) => {
                        end(&mut child, process).await;
                        break;
                    }
                };
                state.borrow_mut().update(daemon.name, None, restarts);
                if let (false, Ok(status)) = (*ready.borrow(), &status)
                    && status.code().is_some()
                {
                    return Err(daemon.gave_up(*status));
                }
                let outcome = status
                    .as_ref()
                    .map_or_else(ToString::to_string, ToString::to_string);
                tracing::warn!(daemon = daemon.name, outcome, "daemon ended; starting it again");
            }
        }
        restarts += 1;
        if started.elapsed() > SETTLED {
            pause = PAUSES.0;
        }
        // Waits for whatever made the daemon fail to pass: a full disk, a port still held by its predecessor.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopped(&mut stop) => break,
        }
        pause = (pause * 2).min(PAUSES.1);
    }
    state.borrow_mut().update(daemon.name, None, restarts);
    Ok(())
}

impl Daemon {
    fn spawn(&self) -> std::io::Result<Child> {
        let _ = std::fs::remove_file(&self.error_file);
        let stderr = match &self.log {
            None => Stdio::inherit(),
            Some(path) => {
                // One old file is kept: a daemon that logs for months does not fill the disk at its restarts.
                if std::fs::metadata(path).is_ok_and(|meta| meta.len() > 8 << 20) {
                    std::fs::rename(path, path.with_extension("log.1"))?;
                }
                File::options().create(true).append(true).open(path)?.into()
            }
        };
        Command::new(&self.program)
            .arg(self.name)
            .arg("--data-dir")
            .arg(&self.data_dir)
            // One heap for libc too, which does not use ours (mallopt(3)).
            .env("MALLOC_ARENA_MAX", "1")
            .env(SUPERVISOR, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C in the terminal is for the supervisor, which ends the daemons in order.
            .process_group(0)
            .spawn()
    }

    fn gave_up(&self, status: ExitStatus) -> Failure {
        let reason = std::fs::read_to_string(&self.error_file).unwrap_or_default();
        self.failure(if reason.is_empty() {
            status.to_string()
        } else {
            reason.trim_end().to_owned()
        })
    }

    fn failure(&self, reason: String) -> Failure {
        Failure {
            daemon: self.name,
            reason,
        }
    }
}

/// Resolves when `stop` is true. Does not keep its value, which select! would hold while it runs what follows: whoever
/// sends another waits for that, and so does this thread with it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

/// SIGTERM, then SIGKILL after the grace period.
async fn end(child: &mut Child, process: Option<Process>) {
    if let Some(process) = process {
        process.signal(Signal::SIGTERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        // Its state is on disk and its pods are not its children, so a hard end loses nothing.
        let _ = child.kill().await;
    }
}
