//! The Service proxy's own thread: events from the watches in, transactions to the kernel out.
//!
//! A thread, because loading thousands of Services takes the kernel a fraction of a second, in which DNS and the
//! kubelet's requests go on. Events that arrive while a transaction runs are put into the next one together.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info};

use crate::conntrack;
use crate::netlink::Membership;
use crate::nft::services::{Proxy, Settings};
use crate::service::{Change, Cluster, Key, Ruleset, Scope, Service, Slice, compile};

/// What the watches tell.
#[derive(Debug)]
pub(crate) enum Event {
    /// A Service is there or gone.
    Service(Key, Option<Service>),
    /// An EndpointSlice is there or gone.
    Slice(Key, Option<Slice>),
    /// All Services have been listed: others are gone.
    ServicesListed(HashSet<Key>),
    /// All EndpointSlices have been listed: others are gone.
    SlicesListed(HashSet<Key>),
    /// Somebody else removed the tables.
    TablesLost,
}

/// Events to take into one transaction.
const MAX_EVENTS: usize = 4096;
/// Between attempts to load the tables, which takes the kernel long where there are thousands of Services.
const RETRY: Duration = Duration::from_secs(1);

/// The state that the thread owns.
pub(crate) struct Worker {
    cluster: Arc<RwLock<Cluster>>,
    ruleset: Ruleset,
    proxy: Proxy,
    settings: Settings,
    listed: (bool, bool),
    loaded: watch::Sender<bool>,
    touched: BTreeSet<Key>,
    /// The last transaction was refused: the kernel's state is unknown.
    failed: bool,
    /// Of the socket that hears of every change; left while everything is loaded.
    monitor: Option<Membership>,
}

impl Worker {
    /// A worker that writes what it learns to `cluster` and tells `loaded` when the tables are up to date for the
    /// first time. Until then a predecessor's tables stay in force.
    pub(crate) fn new(
        settings: Settings,
        cluster: Arc<RwLock<Cluster>>,
        loaded: watch::Sender<bool>,
    ) -> Result<Self, crate::nft::Error> {
        Ok(Self {
            cluster,
            ruleset: Ruleset::default(),
            proxy: Proxy::new(settings.clone())?,
            settings,
            listed: (false, false),
            loaded,
            touched: BTreeSet::new(),
            failed: false,
            monitor: None,
        })
    }

    /// Has the worker leave `monitor` while it loads everything.
    pub(crate) fn quieting(mut self, monitor: Membership) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Starts the thread, which works until all senders are gone. What is returned resolves when it has ended,
    /// whatever the reason.
    pub(crate) fn start(self, events: mpsc::Receiver<Event>) -> io::Result<oneshot::Receiver<Infallible>> {
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new().name("proxy".into()).spawn(move || {
            let _dropped_by_a_panic_too = alive;
            self.run(events);
        })?;
        Ok(ended)
    }

    fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut batch = Vec::new();
        loop {
            if self.failed {
                // Nothing tells when what made the kernel refuse is gone, and in a quiet cluster no event comes.
                std::thread::sleep(RETRY);
                while batch.len() < MAX_EVENTS {
                    match events.try_recv() {
                        Ok(event) => batch.push(event),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return,
                    }
                }
            } else if events.blocking_recv_many(&mut batch, MAX_EVENTS) == 0 {
                return;
            }
            self.handle(batch.drain(..));
        }
    }

    /// Takes note of `events` and puts what they change in force.
    pub(crate) fn handle(&mut self, events: impl Iterator<Item = Event>) {
        let was_in_force = self.complete() && !self.failed;
        let mut reload = !was_in_force;
        for event in events {
            reload |= matches!(event, Event::TablesLost);
            self.note(event);
        }
        if !self.complete() {
            return;
        }
        let changes = self.compile_touched();
        let outcome = if reload {
            self.load()
        } else {
            self.proxy.apply(&changes, &self.ruleset)
        };
        self.failed = outcome.is_err();
        if let Err(error) = outcome {
            error!(%error, "could not change the Service tables, will load them anew");
            return;
        }
        self.loaded.send_replace(true);
        self.forget_connections(&changes, was_in_force);
    }

    fn complete(&self) -> bool {
        self.listed == (true, true)
    }

    fn note(&mut self, event: Event) {
        let mut cluster = self.cluster.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Service(key, service) => {
                if cluster.set_service(key.clone(), service) {
                    self.touched.insert(key);
                }
            }
            Event::Slice(key, slice) => self.touched.extend(cluster.set_slice(key, slice)),
            Event::ServicesListed(present) => {
                self.listed.0 = true;
                for key in cluster
                    .service_keys()
                    .into_iter()
                    .filter(|k| !present.contains(k))
                {
                    cluster.set_service(key.clone(), None);
                    self.touched.insert(key);
                }
            }
            Event::SlicesListed(present) => {
                self.listed.1 = true;
                for key in cluster.slice_keys().into_iter().filter(|k| !present.contains(k)) {
                    self.touched.extend(cluster.set_slice(key, None));
                }
            }
            Event::TablesLost => {}
        }
        cluster.complete = self.listed == (true, true);
    }

    fn compile_touched(&mut self) -> Vec<Change> {
        let cluster = self.cluster.read().unwrap_or_else(PoisonError::into_inner);
        let scope = Scope {
            dns_ip: self.settings.dns_ip,
        };
        let mut changes = Vec::new();
        for key in std::mem::take(&mut self.touched) {
            let wanted = match cluster.service(&key) {
                Some(service) => compile(service, &cluster.slices(&key), scope),
                None => Vec::new(),
            };
            changes.extend(self.ruleset.update(&key, wanted));
        }
        changes
    }

    fn load(&mut self) -> Result<(), crate::nft::Error> {
        let start = std::time::Instant::now();
        let (proxy, ruleset) = (&mut self.proxy, &self.ruleset);
        match &self.monitor {
            Some(monitor) => monitor.without(|| proxy.load(ruleset))?,
            None => proxy.load(ruleset)?,
        }
        info!(frontends = self.ruleset.iter().count(), elapsed = ?start.elapsed(), "Service tables loaded");
        Ok(())
    }

    /// UDP clients go on sending within what the kernel takes for one connection, also to an endpoint that is gone.
    fn forget_connections(&self, changes: &[Change], was_in_force: bool) {
        let udp = |c: &&Change| i32::from(c.frontend.protocol) == libc::IPPROTO_UDP;
        // After a start nobody knows what changed while no daemon was there, nor after a failure what failed.
        if was_in_force && !changes.iter().any(|c| udp(&c)) {
            return;
        }
        let removed = changes
            .iter()
            .filter(|c| c.new.is_none())
            .map(|c| c.frontend)
            .collect();
        let judge = conntrack::Judge {
            ruleset: &self.ruleset,
            removed: &removed,
            service_cidrs: &self.settings.service_cidrs,
            dns_ip: self.settings.dns_ip,
        };
        match conntrack::forget_stale(&judge) {
            Ok(0) => {}
            Ok(count) => info!(count, "forgot stale UDP connections"),
            Err(error) => error!(%error, "could not forget stale UDP connections"),
        }
    }
}

/// Settings of the tables, from those of the daemon.
pub(crate) fn table_settings(settings: &crate::settings::Settings) -> Settings {
    Settings {
        id: settings.id.clone(),
        service_cidrs: settings.service_cidrs.clone(),
        dns_ip: settings.dns_ip,
    }
}
