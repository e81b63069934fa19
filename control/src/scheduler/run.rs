//! The loop: changes in, decisions out.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bind;
use super::decide::schedule;
use super::pod::PodView;
use super::queue::Queue;
use super::snapshot::{NodeView, Snapshot};
use crate::controllers::api::{Api, Error, Recorder, resources};
use crate::controllers::informer::{Informer, Object};
use crate::controllers::model::Meta;
use crate::controllers::tasks::died;

/// Bindings under way at once.
const IN_FLIGHT: usize = 128;

enum Change {
    Pod(Option<Arc<PodView>>, Option<Arc<PodView>>),
    Node(Option<Arc<NodeView>>, Option<Arc<NodeView>>),
    Namespace(Option<Arc<Meta>>, Option<Arc<Meta>>),
}

/// A finished attempt to bind.
struct Bound {
    pod: Arc<PodView>,
    /// `None` if it has panicked.
    result: Option<Result<(), Error>>,
}

struct Scheduler {
    api: Api,
    recorder: Recorder,
    snapshot: Snapshot,
    queue: Queue,
    /// Waiting pods by UID.
    waiting: HashMap<String, Arc<PodView>>,
    bindings: JoinSet<Bound>,
    /// Conditions and events of pods that found no node.
    reports: JoinSet<()>,
    start: usize,
}

/// Runs the scheduler until `shutdown` resolves. `client` acts as `system:kube-scheduler`.
pub async fn run(client: kube::Client, shutdown: impl Future<Output = ()>) {
    let api = Api::new(client);
    let mut tasks = JoinSet::new();
    let (recorder, writer) = Recorder::new(api.clone(), "default-scheduler");
    tasks.spawn(writer);
    let (sender, changes) = mpsc::unbounded_channel();
    let pods = Informer::new(resources::pods());
    let nodes = Informer::new(resources::nodes());
    let namespaces = Informer::metadata(resources::namespaces());
    forward(&pods, &sender, Change::Pod);
    forward(&nodes, &sender, Change::Node);
    forward(&namespaces, &sender, Change::Namespace);
    tasks.spawn(pods.clone().run(api.clone()));
    tasks.spawn(nodes.clone().run(api.clone()));
    tasks.spawn(namespaces.clone().run(api.clone()));
    let scheduler = Scheduler::new(api, recorder);
    tokio::select! {
        () = shutdown => {}
        () = async {
            // A decision over half a cache would see full nodes as empty.
            pods.synced().await;
            nodes.synced().await;
            namespaces.synced().await;
            scheduler.work(changes).await;
        } => {}
        never = died(&mut tasks) => match never {},
    }
}

fn forward<T: Object>(
    informer: &Informer<T>,
    sender: &mpsc::UnboundedSender<Change>,
    wrap: fn(Option<Arc<T>>, Option<Arc<T>>) -> Change,
) {
    let sender = sender.clone();
    informer.on_change(move |old, new| {
        // The receiver goes away only when the scheduler ends.
        drop(sender.send(wrap(old.cloned(), new.cloned())));
    });
}

impl Scheduler {
    fn new(api: Api, recorder: Recorder) -> Self {
        Self {
            api,
            recorder,
            snapshot: Snapshot::default(),
            queue: Queue::default(),
            waiting: HashMap::new(),
            bindings: JoinSet::new(),
            reports: JoinSet::new(),
            start: 0,
        }
    }

    async fn work(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        loop {
            while let Ok(change) = changes.try_recv() {
                self.apply(change);
            }
            while let Some(done) = self.bindings.try_join_next() {
                self.bound(done);
            }
            while self.reports.try_join_next().is_some() {}
            if self.bindings.len() < IN_FLIGHT
                && let Some(uid) = self.queue.pop(Instant::now())
            {
                self.attempt(&uid);
                // Lets the bindings start when there is only one thread.
                tokio::task::yield_now().await;
                continue;
            }
            // Waits for the first pod whose back-off ends.
            let deadline = self.queue.deadline();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => self.apply(change),
                    None => return,
                },
                Some(done) = self.bindings.join_next() => self.bound(done),
                Some(_) = self.reports.join_next() => {}
                () = timer, if self.bindings.len() < IN_FLIGHT => {}
            }
        }
    }

    fn apply(&mut self, change: Change) {
        let now = Instant::now();
        match change {
            Change::Pod(old, new) => self.pod_changed(old.as_ref(), new, now),
            Change::Node(old, Some(node)) => {
                self.snapshot.set_node(&node);
                if old.is_none_or(|old| !old.offers_like(&node)) {
                    self.queue.wake_all(now);
                }
            }
            Change::Node(Some(old), None) => self.snapshot.remove_node(&old.meta.name),
            Change::Namespace(_, Some(new)) => {
                self.snapshot
                    .namespaces
                    .insert(new.name.clone(), BTreeMap::clone(&new.labels));
            }
            Change::Namespace(Some(old), None) => drop(self.snapshot.namespaces.remove(&old.name)),
            Change::Node(None, None) | Change::Namespace(None, None) => {}
        }
    }

    fn pod_changed(&mut self, old: Option<&Arc<PodView>>, new: Option<Arc<PodView>>, now: Instant) {
        let Some(pod) = new else {
            let Some(old) = old else { return };
            self.forget(&old.meta.uid);
            self.snapshot.remove_pod(&old.meta.uid);
            // Room, a port or an anti-affinity is free again.
            self.queue.wake_all(now);
            return;
        };
        let uid = pod.meta.uid.clone();
        if pod.is_placed() {
            self.forget(&uid);
            let known = self.snapshot.place_of(&uid) == Some(pod.node_name.as_str());
            self.snapshot.place(&pod, &pod.node_name);
            let relabelled = old.is_none_or(|old| old.meta.labels != pod.meta.labels);
            if !known || relabelled {
                // It may be what a pod with affinity waits for.
                self.queue.wake_all(now);
            }
        } else if pod.is_waiting() {
            if self.snapshot.place_of(&uid).is_some() {
                // Decided and being bound; what has changed counts if that fails.
                self.waiting.insert(uid, pod);
                return;
            }
            let changed = old.is_none_or(|old| {
                old.meta.generation != pod.meta.generation || old.meta.labels != pod.meta.labels || old.gated
            });
            let priority = pod.priority;
            let known = self.waiting.insert(uid.clone(), pod).is_some();
            if changed || !known {
                self.queue.add(&uid, priority, now);
            }
        } else {
            self.forget(&uid);
            if pod.ended && self.snapshot.place_of(&uid).is_some() {
                self.snapshot.remove_pod(&uid);
                self.queue.wake_all(now);
            }
        }
    }

    fn forget(&mut self, uid: &str) {
        self.queue.remove(uid);
        self.waiting.remove(uid);
    }

    fn attempt(&mut self, uid: &str) {
        let Some(pod) = self.waiting.get(uid).cloned() else {
            return;
        };
        self.start = self.start.wrapping_add(1);
        match schedule(&pod, &self.snapshot, self.start) {
            Ok(node) => {
                self.snapshot.place(&pod, &node);
                let (api, recorder) = (self.api.clone(), self.recorder.clone());
                self.bindings.spawn(async move {
                    let binding = AssertUnwindSafe(bind::bind(&api, &recorder, &pod, &node));
                    let result = binding.catch_unwind().await.ok();
                    Bound { pod, result }
                });
            }
            Err(reasons) => {
                self.queue.park(uid, Instant::now());
                self.report(pod, "Unschedulable", reasons.message());
            }
        }
    }

    fn report(&mut self, pod: Arc<PodView>, reason: &'static str, message: String) {
        let (api, recorder) = (self.api.clone(), self.recorder.clone());
        self.reports.spawn(async move {
            bind::report_failure(&api, &recorder, &pod, reason, &message).await;
        });
    }

    fn bound(&mut self, done: Result<Bound, tokio::task::JoinError>) {
        let Ok(Bound { pod, result }) = done else {
            // Neither panics (the binding's are caught) nor is stopped before the scheduler is.
            return;
        };
        let error = match result {
            Some(Ok(())) => return,
            Some(Err(error)) => Some(error),
            None => None,
        };
        let uid = &pod.meta.uid;
        if !self.waiting.contains_key(uid) {
            // The watch was faster: it is placed, gone or ended, and the snapshot knows.
            return;
        }
        self.snapshot.remove_pod(uid);
        let now = Instant::now();
        self.queue.park(uid, now);
        if error
            .as_ref()
            .is_some_and(|error| error.is_not_found() || error.is_conflict())
        {
            // Deleted, or bound by somebody else: the watch will tell which.
            return;
        }
        self.queue.wake(uid, now);
        let why = error.map_or_else(
            || "the scheduler has panicked".to_owned(),
            |error| error.message(),
        );
        self.report(pod, "SchedulerError", format!("binding rejected: {why}"));
    }
}

#[cfg(test)]
mod tests;
