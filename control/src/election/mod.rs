//! Leader election: of several control planes on one store, one runs the controllers, and one the scheduler.
//!
//! As client-go's `leaderelection` does it, on the same objects and with the same times, so that upstream's own
//! kube-controller-manager and kube-scheduler could take part: the holder of a Lease renews it; whoever has seen it
//! unchanged for its duration, by a clock of their own, may take it. [`record`] decides what to write, without I/O.
//!
//! The leader stops what it does when its last renewal is [`Timing::renew_deadline`] old, counted from before that
//! renewal was sent. Anybody else waits for [`Timing::duration`] from when they saw it, which is later; so there are
//! never two, as long as clocks run at about the same speed.
//!
//! There is no election on the embedded store: its file is locked by the one process that has it open, and the renewals
//! would cost it a write to the disk every other second.

mod record;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::time::Duration;

use keelson_api::time;
use tokio::time::{Instant, sleep, timeout_at};

use crate::controllers::api::{Api, resources};
use record::{Observed, Step};

/// Where the Leases are.
const NAMESPACE: &str = "kube-system";

/// The times of an election.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long others wait for a renewal.
    pub duration: Duration,
    /// How long the leader acts without one.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry_period: Duration,
}

impl Default for Timing {
    /// Upstream's defaults.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Somebody who wants to lead.
#[derive(Debug)]
pub struct Candidate {
    /// The API, as a user that may write the Lease.
    pub api: Api,
    /// Name of the Lease.
    pub name: &'static str,
    /// Who we are, in the Lease.
    pub identity: String,
    /// Times.
    pub timing: Timing,
}

impl Candidate {
    /// Runs `work` whenever we are the leader, until `shutdown` resolves; then lets it end in order and gives the Lease
    /// up. `work` gets a future that resolves when it is to end; when the Lease is lost, it is dropped instead.
    pub async fn run<W: Future<Output = ()>>(
        &self,
        work: impl Fn(tokio::sync::watch::Receiver<bool>) -> W,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = pin!(shutdown);
        let mut observed = Observed::default();
        loop {
            let until = tokio::select! {
                () = &mut shutdown => return,
                until = self.acquire(&mut observed) => until,
            };
            tracing::info!(lease = self.name, identity = self.identity, "leading");
            let stop = tokio::sync::watch::Sender::new(false);
            let mut working = pin!(work(stop.subscribe()));
            tokio::select! {
                () = &mut shutdown => {
                    stop.send_replace(true);
                    tokio::select! {
                        () = working => self.release(&mut observed).await,
                        // Too slow: the Lease ends by itself.
                        () = self.renew(&mut observed, until) => {}
                    }
                    return;
                }
                // It ends only when it is told to; if it ends otherwise, it is begun again.
                () = &mut working => {
                    tracing::error!(lease = self.name, "the leader's work has ended");
                    sleep(self.timing.retry_period).await;
                }
                () = self.renew(&mut observed, until) => {
                    tracing::warn!(lease = self.name, identity = self.identity, "no longer leading");
                }
            }
        }
    }

    /// Tries until we are the leader. Returns until when we may act.
    async fn acquire(&self, observed: &mut Observed) -> Instant {
        loop {
            let limit = Instant::now() + self.timing.renew_deadline;
            if let Ok(Some(until)) = timeout_at(limit, self.attempt(observed)).await {
                return until;
            }
            // Upstream's period: the holder's silence is told by nothing but time.
            sleep(self.timing.retry_period).await;
        }
    }

    /// Renews until that has not been possible for too long.
    async fn renew(&self, observed: &mut Observed, mut until: Instant) {
        loop {
            sleep(self.timing.retry_period.min(until - Instant::now())).await;
            match timeout_at(until, self.attempt(observed)).await {
                Ok(Some(later)) => until = later,
                Ok(None) if Instant::now() < until && !observed.is_lost(&self.identity) => {}
                _ => return,
            }
        }
    }

    /// Reads and writes the Lease once. `None` if we do not hold it now.
    async fn attempt(&self, observed: &mut Observed) -> Option<Instant> {
        let began = Instant::now();
        let resource = resources::leases();
        let current = match self.api.get(resource, NAMESPACE, self.name).await {
            Ok(current) => current,
            Err(error) => {
                tracing::debug!(lease = self.name, %error, "the Lease cannot be read");
                return None;
            }
        };
        observed.see(current.as_ref(), began);
        let step = record::next(
            current,
            observed,
            &self.identity,
            began,
            self.timing.duration,
            &time::now_micro(),
        );
        let written = match step {
            Step::Wait => return None,
            Step::Create(mut lease) => {
                lease["metadata"]["name"] = self.name.into();
                self.api.create(resource, NAMESPACE, lease).await
            }
            Step::Replace(lease) => self.api.replace(resource, "", &lease).await,
        };
        match written {
            Ok(lease) => {
                observed.see(Some(&lease), began);
                Some(began + self.timing.renew_deadline)
            }
            Err(error) => {
                // Somebody else was faster, or nobody knows; the next reading tells.
                tracing::debug!(lease = self.name, %error, "the Lease cannot be written");
                None
            }
        }
    }

    /// Lets the next one lead at once.
    async fn release(&self, observed: &mut Observed) {
        let resource = resources::leases();
        let Ok(Some(lease)) = self.api.get(resource, NAMESPACE, self.name).await else {
            return;
        };
        observed.see(Some(&lease), Instant::now());
        if let Some(lease) = record::released(lease, &self.identity, &time::now_micro())
            && let Err(error) = self.api.replace(resource, "", &lease).await
        {
            tracing::warn!(lease = self.name, %error, "the Lease could not be given up; it ends by itself");
        }
    }
}
