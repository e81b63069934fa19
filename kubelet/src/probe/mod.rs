//! Liveness, readiness and startup probes.
//!
//! Source: `pkg/kubelet/prober`, `pkg/probe` (messages).

mod counter;
pub mod exec;
mod grpc;
pub mod http;
mod runner;
mod target;
mod tcp;

use std::collections::HashMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::task::AbortHandle;

pub(crate) use runner::Report;
pub use target::Target;

use crate::worker::Worker;

#[cfg(test)]
mod tests;

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Restarts a container that fails it.
    Liveness,
    /// Takes the container out of Services while it fails.
    Readiness,
    /// Holds back the other two until it has succeeded.
    Startup,
}

impl Kind {
    /// `Liveness`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    /// `liveness`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }

    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Startup => container.startup_probe.as_ref(),
        }
    }
}

/// A probe's verdict after its thresholds.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Container.
    pub container: String,
    /// Its runtime id.
    pub id: String,
    /// Probe.
    pub kind: Kind,
    /// Verdict.
    pub success: bool,
    /// The probe's own grace period for a restart.
    pub grace_seconds: Option<i64>,
}

/// The running probes of a pod, by runtime id. Dropping it stops them.
#[derive(Default)]
pub struct ProbeTasks(HashMap<(String, Kind), AbortHandle>);

impl Drop for ProbeTasks {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl ProbeTasks {
    /// Stops all probes.
    pub fn stop_all(&mut self) {
        for (_, task) in self.0.drain() {
            task.abort();
        }
    }

    /// Makes exactly the wanted probes run: starts missing ones with `start`, stops others.
    pub fn sync(
        &mut self,
        wanted: &[(String, Kind)],
        mut start: impl FnMut(&str, Kind) -> Option<AbortHandle>,
    ) {
        self.0.retain(|key, task| {
            let keep = wanted.contains(key);
            if !keep {
                task.abort();
            }
            keep
        });
        for key in wanted {
            // A probe that has had its say (a startup probe that succeeded) has ended and stays so.
            if !self.0.contains_key(key)
                && let Some(task) = start(&key.0, key.1)
            {
                self.0.insert(key.clone(), task);
            }
        }
    }
}

/// What a probe needs to run.
pub(crate) struct Job {
    pub container: Container,
    pub id: String,
    pub kind: Kind,
    pub probe: Probe,
    pub pod_ip: Option<IpAddr>,
    pub started_at: k8s_openapi::jiff::Timestamp,
    /// Where a readiness probe stands: true for one that was ready before the kubelet restarted.
    pub ready: bool,
}

impl Worker {
    /// Starts and stops probes according to the state of the containers.
    pub(crate) fn sync_probes(&mut self) {
        let jobs = self.wanted_probes();
        let keys: Vec<_> = jobs.iter().map(|job| (job.id.clone(), job.kind)).collect();
        let mut by_key: HashMap<_, _> = jobs
            .into_iter()
            .map(|job| ((job.id.clone(), job.kind), job))
            .collect();
        let mut tasks = std::mem::take(self.probe_tasks());
        tasks.sync(&keys, |id, kind| {
            let job = by_key.remove(&(id.to_owned(), kind))?;
            Some(self.start_probe(job))
        });
        *self.probe_tasks() = tasks;
    }

    fn start_probe(&self, job: Job) -> AbortHandle {
        let (runtime, inbox) = (self.runtime(), self.inbox());
        let report = self.container_events(&job.container.name);
        tokio::spawn(runner::run(job, runtime, inbox, report)).abort_handle()
    }
}
