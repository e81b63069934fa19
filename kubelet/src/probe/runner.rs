//! The loop of one probe.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use keelson_runtime::node::NodeRuntime;

use super::counter::Counter;
use super::target::{self, Target};
use super::{Job, Kind, Outcome, exec, grpc, http, tcp};
use crate::event;
use crate::worker::{Inbox, Message};

/// What one try found: whether it passed, and what there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    /// The container answered, and badly.
    Failure(String),
    /// The probe itself could not be made.
    Error(String),
}

/// Records an event about the probed container.
pub(crate) type Report = Arc<dyn Fn(event::Kind, &str, &str) + Send + Sync>;

pub(super) async fn run(job: Job, runtime: NodeRuntime, inbox: Inbox, report: Report) {
    let probe = &job.probe;
    let seconds =
        |value: Option<i32>, default: i32| Duration::from_secs(value.unwrap_or(default).max(1) as u64);
    let period = seconds(probe.period_seconds, 10);
    let mut counter = Counter::new(
        probe.success_threshold.unwrap_or(1).max(1),
        probe.failure_threshold.unwrap_or(3).max(1),
    );
    // Verdict that the worker knows of.
    let mut known = match job.kind {
        Kind::Liveness => Some(true),
        Kind::Readiness => Some(job.ready),
        Kind::Startup => None,
    };
    wait_initial_delay(&job).await;
    loop {
        let verdict = attempt(&job, &runtime, seconds(probe.timeout_seconds, 1)).await;
        match &verdict {
            Verdict::Success => {}
            Verdict::Failure(text) => {
                report(
                    event::Kind::Warning,
                    "Unhealthy",
                    &format!("{} probe failed: {text}", job.kind.title()),
                );
            }
            Verdict::Error(text) => {
                report(
                    event::Kind::Warning,
                    "Unhealthy",
                    &format!("{} probe errored: {text}", job.kind.title()),
                );
            }
        }
        if let Some(success) = counter.feed(verdict == Verdict::Success)
            && known != Some(success)
        {
            known = Some(success);
            let outcome = Outcome {
                container: job.container.name.clone(),
                id: job.id.clone(),
                kind: job.kind,
                success,
                grace_seconds: probe.termination_grace_period_seconds,
            };
            if inbox.send(Message::Probe(outcome)).is_err() {
                return;
            }
            // The startup probe is over once it has decided; a failed liveness probe waits for the restart.
            if job.kind != Kind::Readiness {
                return;
            }
        }
        // The probe's own period: this is what a probe is.
        tokio::time::sleep(period).await;
    }
}

async fn wait_initial_delay(job: &Job) {
    let delay = Duration::from_secs(job.probe.initial_delay_seconds.unwrap_or(0).max(0) as u64);
    let running = Duration::try_from(Timestamp::now().duration_since(job.started_at)).unwrap_or_default();
    tokio::time::sleep(delay.saturating_sub(running)).await;
}

async fn attempt(job: &Job, runtime: &NodeRuntime, timeout: Duration) -> Verdict {
    let probe = &job.probe;
    if let Some(action) = &probe.exec {
        let command = action.command.clone().unwrap_or_default();
        return exec::probe(runtime, &job.id, command, timeout).await;
    }
    if let Some(action) = &probe.http_get {
        return match Target::http(action, &job.container, job.pod_ip) {
            Ok(target) => http::probe(&target, timeout).await,
            Err(error) => Verdict::Error(error),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        return match target::tcp(action, &job.container, job.pod_ip) {
            Ok((host, port)) => tcp::probe(&host, port, timeout).await,
            Err(error) => Verdict::Error(error),
        };
    }
    match (&probe.grpc, job.pod_ip) {
        (Some(action), Some(ip)) => match u16::try_from(action.port) {
            Ok(port) => grpc::probe(ip, port, action.service.as_deref().unwrap_or_default(), timeout).await,
            Err(_) => Verdict::Error(format!("invalid port {}", action.port)),
        },
        (Some(_), None) => Verdict::Error("the pod has no address".into()),
        (None, _) => Verdict::Error("the probe names no action".into()),
    }
}
