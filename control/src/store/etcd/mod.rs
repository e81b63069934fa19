//! The store on an etcd v3 cluster, which any number of API servers share.
//!
//! - [`client`]: requests, on one server or another; [`failure`]: what became of those that fail. [`proto`]: their
//!   messages. [`layout`]: keys.
//! - [`feed`]: the index in memory is loaded once ([`load`]) and follows a watch of all keys; reads and watches are served
//!   from it.
//! - [`landmark`]: whether it is still the same etcd; a server whose etcd was replaced by a backup ends.
//! - [`write`]: writes are transactions that compare the revision of the last change. [`claims`]: of what only one object
//!   can have, [`turns`]: of what is decided by looking at many objects, and [`lease`]: of what expires.
//! - [`barrier`]: a read that must see what other servers have acknowledged asks etcd for its revision, and waits until
//!   the index is there (kube-apiserver's "consistent reads from cache"). [`strangers`]: whether that revision may be
//!   somebody else's, [`lag`] how long it takes to come if not.
//! - [`compact`]: old revisions are forgotten every five minutes, by one of the servers.
//!
//! All of it runs on a thread of its own, so that a busy server does not keep the index from following. The index is fed
//! by nothing but the watch, in etcd's order: what this server writes comes back to it the same way.

mod barrier;
mod claims;
mod client;
mod compact;
mod failure;
mod feed;
mod lag;
mod landmark;
mod layout;
mod lease;
mod load;
#[cfg(test)]
#[path = "../../../tests/peers/etcd.rs"]
pub(super) mod peer;
mod proto;
mod servers;
mod strangers;
#[cfg(test)]
mod tests;
mod turns;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use claims::Claims;
pub use servers::Servers;
pub use turns::Turn;

use super::cache::Cache;
use super::index::{Index, Limits};
use super::sealed::Sealed;
use super::snapshot::Snapshot;
use super::{Options, Store, StoreError, Write};
use crate::object::{GroupResource, Object};
use client::Client;
use layout::Layout;
use lease::Leases;

/// How long a read waits for the index to see a revision (upstream's cacher: 3 seconds).
const PATIENCE: Duration = Duration::from_secs(3);
/// How long etcd may be out of reach when the control plane starts.
const START: Duration = Duration::from_mins(1);

/// Settings of the store on etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// Where etcd is.
    pub servers: Servers,
    /// What is the same for all stores.
    pub store: Options,
    /// The built-in resources as they are stored; all others are custom ones.
    pub builtin: Vec<GroupResource>,
    /// What an object claims for itself alone.
    pub claims: Claims,
    /// Time between compactions; `None` leaves them to somebody else.
    pub compaction: Option<Duration>,
}

/// What the tasks of the store's thread share.
#[derive(Debug)]
struct Core {
    options: EtcdOptions,
    client: Client,
    layout: Layout,
    cache: Cache,
    /// The index's revision, to wait for.
    seen: watch::Sender<u64>,
    /// The watch is open.
    attached: watch::Sender<bool>,
    /// Told when the watch has not brought what etcd has had for a while.
    behind: Notify,
    leases: tokio::sync::Mutex<Leases>,
    turns: turns::Turns,
    strangers: strangers::Strangers,
    lag: lag::Lag,
    /// Held by who changes a key to know that the index is up to date; when that failed last.
    touching: tokio::sync::Mutex<Option<Instant>>,
    landmark: Mutex<landmark::Seen>,
    /// Why this server cannot go on.
    failed: watch::Sender<Option<String>>,
}

/// What the thread is asked to do.
#[derive(Debug)]
enum Job {
    Write(
        Box<Write>,
        Option<Turn>,
        oneshot::Sender<Result<Arc<Object>, StoreError>>,
    ),
    Turn(String, oneshot::Sender<Result<Turn, StoreError>>),
    Barrier(oneshot::Sender<Result<(), StoreError>>),
}

/// The store. Dropping the last handle ends its thread after the writes under way.
#[derive(Debug)]
pub struct Etcd {
    cache: Cache,
    seen: watch::Receiver<u64>,
    attached: watch::Receiver<bool>,
    failed: watch::Receiver<Option<String>>,
    /// Who asks for a snapshot is told this.
    elsewhere: String,
    /// `None` only while dropping.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Etcd {
    /// Connects and loads everything; waits a minute for an etcd that is not there yet.
    pub async fn open(options: EtcdOptions) -> Result<Self, crate::Error> {
        let core = Arc::new(Core::new(options).map_err(crate::Error::Store)?);
        let cache = core.cache.clone();
        let servers = &core.options.servers;
        let elsewhere = format!(
            "the objects are in etcd ({}): {}",
            servers.urls.join(", "),
            servers.etcdctl("snapshot save FILE")
        );
        let (jobs, queue) = mpsc::unbounded_channel();
        let (ready, opened) = oneshot::channel();
        let (seen, attached) = (core.seen.subscribe(), core.attached.subscribe());
        let failed_for_good = core.failed.subscribe();
        let failed = |what: &str, source| crate::Error::Io {
            what: what.to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| failed("start the store's event loop", source))?;
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || super::guarded(&core.failed, || runtime.block_on(run(&core, queue, ready))))
            .map_err(|source| failed("start the store's thread", source))?;
        let store = Self {
            cache,
            seen,
            attached,
            failed: failed_for_good,
            elsewhere,
            jobs: Some(jobs),
            thread: Some(thread),
        };
        match opened.await {
            Ok(Ok(())) => Ok(store),
            Ok(Err(why)) => Err(crate::Error::Store(why)),
            Err(_) => Err(crate::Error::Store("the store's thread has ended".to_owned())),
        }
    }

    /// Hands a job to the thread, and waits for what it says.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job(reply)).is_ok());
        async move {
            if !sent {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed))
        }
        .boxed()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn limits(options: &Options) -> Limits {
    Limits {
        events: options.history_events,
        bytes: options.history_bytes,
        age: options.history_age,
    }
}

/// The thread: loads, then serves jobs until all handles are gone.
async fn run(
    core: &Arc<Core>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    ready: oneshot::Sender<Result<(), String>>,
) {
    let opened = match tokio::time::timeout(START, load::open(core)).await {
        Ok(opened) => opened,
        Err(_) => Err("it did not answer".to_owned()),
    };
    if let Err(why) = opened {
        drop(ready.send(Err(format!("etcd: {why}"))));
        return;
    }
    // Aborted when this function returns.
    let mut tasks = JoinSet::new();
    tasks.spawn(feed::follow(Arc::clone(core)));
    if let Some(interval) = core.options.compaction {
        tasks.spawn(compact::run(Arc::clone(core), interval));
    }
    tasks.spawn(feed::forget(Arc::clone(core)));
    let (barriers, queue) = mpsc::unbounded_channel();
    tasks.spawn(barrier::run(Arc::clone(core), queue));
    // Everything that happened before this start is to be seen from the first request on.
    let caught_up = tokio::time::timeout(START, async {
        while let Err(error) = barrier::catch_up(core).await {
            tracing::warn!(%error, "catching up with etcd");
            // What refuses at once would do so again.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let caught_up = caught_up.await;
    if ready
        .send(caught_up.map_err(|_| "etcd: catching up takes too long".to_owned()))
        .is_err()
    {
        return;
    }
    let mut writes = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(Job::Write(write, turn, mut reply)) => {
                    let core = Arc::clone(core);
                    writes.spawn(async move {
                        tokio::select! {
                            result = write::run(&core, *write, turn) => drop(reply.send(result)),
                            // A leader that has lost its Lease must not write any more.
                            () = reply.closed() => {}
                        }
                    });
                }
                Some(Job::Turn(matter, mut reply)) => {
                    let core = Arc::clone(core);
                    writes.spawn(async move {
                        tokio::select! {
                            result = turns::take(&core, &matter) => drop(reply.send(result)),
                            () = reply.closed() => {}
                        }
                    });
                }
                // The receiver is in a task that ends with this function.
                Some(Job::Barrier(reply)) => drop(barriers.send(reply)),
                None => break,
            },
            Some(_) = writes.join_next() => {}
            // The watch ends when etcd has been replaced; nothing else does, unless it panics.
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                super::fail(&core.failed, &format!("a task of the store has ended: {error}"));
            },
        }
    }
    while writes.join_next().await.is_some() {}
}

impl Core {
    fn new(options: EtcdOptions) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(&options.servers)?,
            layout: Layout::new(&options.servers.prefix, &options.builtin),
            cache: Cache::new(
                Index::new(limits(&options.store)),
                Sealed::new(Arc::clone(&options.store.encryption)),
            ),
            seen: watch::Sender::new(0),
            attached: watch::Sender::new(false),
            behind: Notify::new(),
            leases: tokio::sync::Mutex::default(),
            turns: turns::Turns::default(),
            strangers: strangers::Strangers::default(),
            lag: lag::Lag::default(),
            touching: tokio::sync::Mutex::default(),
            landmark: Mutex::default(),
            failed: watch::Sender::new(None),
            options,
        })
    }

    fn landmark(&self) -> MutexGuard<'_, landmark::Seen> {
        // It is replaced as a whole.
        self.landmark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up for good; returns the whole reason.
    fn fail(&self, why: &str) -> String {
        let why = format!("etcd has not what it had, as if a backup had taken its place: {why}");
        super::fail(&self.failed, &why);
        why
    }

    /// Waits until the index has seen a revision; false if it takes longer than that.
    async fn wait(&self, revision: u64, limit: Duration) -> bool {
        let mut seen = self.seen.subscribe();
        let reached = seen.wait_for(|seen| *seen >= revision);
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Waits for a change of our own that has just been answered.
    async fn wait_for_own(&self, revision: u64) -> bool {
        let answered = Instant::now();
        let seen = self.wait(revision, PATIENCE).await;
        self.lag.note(answered.elapsed());
        seen
    }
}

impl Store for Etcd {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn barrier(&self) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        Some(self.ask(Job::Barrier))
    }

    fn reach(&self, revision: u64) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let mut seen = self.seen.clone();
        if *seen.borrow() >= revision {
            return None;
        }
        let wait = async move {
            let reached = seen.wait_for(|seen| *seen >= revision).map(drop);
            if tokio::time::timeout(PATIENCE, reached).await.is_ok() {
                return Ok(());
            }
            let current = *seen.borrow();
            Err(StoreError::Future(current))
        };
        Some(wait.boxed())
    }

    fn is_healthy(&self) -> bool {
        *self.attached.borrow()
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        super::reason(self.failed.clone())
    }

    fn snapshot(&self) -> BoxFuture<'static, Result<Snapshot, StoreError>> {
        std::future::ready(Err(StoreError::Unsupported(self.elsewhere.clone()))).boxed()
    }

    fn write(&self, write: Write) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        self.ask(|reply| Job::Write(Box::new(write), None, reply))
    }

    fn turn(&self, matter: &str) -> Option<BoxFuture<'static, Result<Turn, StoreError>>> {
        let matter = matter.to_owned();
        Some(self.ask(|reply| Job::Turn(matter, reply)))
    }

    fn write_in_turn(&self, write: Write, turn: Turn) -> BoxFuture<'static, Result<Arc<Object>, StoreError>> {
        self.ask(|reply| Job::Write(Box::new(write), Some(turn), reply))
    }

    fn is_shared(&self) -> bool {
        true
    }
}
