//! Feeds the graph: by the shared informers where there is one, else by a watch of metadata.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::graph::{Graph, Item};
use crate::controllers::Context;
use crate::controllers::api::{Api, Resource};
use crate::controllers::discovery::{Discovered, discover};
use crate::controllers::informer::{Informer, Object, Queue};
use crate::controllers::model::{Meta, Shared};
use crate::controllers::resource_quota::Interest;
use crate::controllers::tasks::died;

/// How long first lists are waited for (upstream's figure). One resource that cannot be listed, such as one with an object
/// that cannot be decrypted, must not keep all others from being collected.
const FIRST_LISTS: Duration = Duration::from_secs(30);

/// Definitions often change in groups, and a new one is served a moment later.
pub const SETTLE: Duration = Duration::from_millis(200);

/// Metadata that the collector needs; the rest is not kept.
#[derive(Debug, Deserialize)]
#[serde(from = "Meta")]
struct Slim(Meta);

impl From<Meta> for Slim {
    fn from(mut meta: Meta) -> Self {
        meta.labels = Shared::default();
        meta.annotations = Shared::default();
        Self(meta)
    }
}

impl Object for Slim {
    fn meta(&self) -> &Meta {
        &self.0
    }
}

/// Where observations go.
#[derive(Debug, Clone)]
pub struct Sink {
    /// The graph.
    pub graph: Arc<Mutex<Graph>>,
    /// What is to be looked at.
    pub queue: Arc<Queue<Item>>,
    /// Who else wants to know of every change.
    pub quotas: Arc<Interest>,
}

impl Sink {
    /// Locks the graph.
    pub fn graph(&self) -> std::sync::MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tap<T: Object>(&self, informer: &Informer<T>) {
        let (sink, resource) = (self.clone(), Arc::new(informer.resource().clone()));
        informer.on_change(move |old, new| {
            if let Some(object) = new.or(old) {
                sink.quotas.changed(&resource, &object.meta().namespace);
            }
            let items = match (old, new) {
                (_, Some(object)) => sink.graph().observe(&resource, object.meta()),
                (Some(object), None) => sink.graph().remove(&object.meta().uid),
                (None, None) => Vec::new(),
            };
            for item in items {
                sink.queue.add(item);
            }
        });
    }
}

/// Taps the informers that other controllers use anyway; returns their resources.
pub fn tap_shared(context: &Context, sink: &Sink) -> Vec<Resource> {
    macro_rules! tap {
        ($($informer:ident),*) => {
            vec![$({ sink.tap(&context.$informer); context.$informer.resource().clone() }),*]
        };
    }
    tap!(
        pods,
        nodes,
        leases,
        namespaces,
        services,
        endpoints,
        endpoint_slices,
        replica_sets,
        replication_controllers,
        deployments,
        daemon_sets,
        stateful_sets,
        jobs,
        cron_jobs,
        controller_revisions,
        service_accounts,
        claims,
        volumes,
        quotas,
        signing_requests
    )
}

/// The resources that exist, kept up to date as custom resources come and go.
#[derive(Debug)]
pub struct Feed {
    api: Api,
    sink: Sink,
    shared: Vec<Resource>,
    watches: HashMap<Resource, Watch>,
    definitions: Arc<Notify>,
    first_lists: Duration,
}

/// A resource that is watched for the collector alone.
#[derive(Debug)]
struct Watch {
    informer: Arc<Informer<Slim>>,
    task: AbortHandle,
    /// It is not waited for any more, and tells when it has its first list.
    is_late: Arc<AtomicBool>,
}

/// Events have no dependents and there are many; upstream leaves them out as well.
fn ignored(resource: &Resource) -> bool {
    resource.plural == "events"
}

impl Feed {
    /// A feed without watches yet.
    pub fn new(api: Api, sink: Sink, shared: Vec<Resource>) -> Self {
        Self {
            api,
            sink,
            shared,
            watches: HashMap::new(),
            definitions: Arc::new(Notify::new()),
            first_lists: FIRST_LISTS,
        }
    }

    /// Waits so long for first lists.
    #[cfg(test)]
    pub fn waiting(self, first_lists: Duration) -> Self {
        Self { first_lists, ..self }
    }

    /// Resolves when custom resource definitions have changed, or a resource has its first list that was not waited for.
    pub fn changed(&self) -> Arc<Notify> {
        self.definitions.clone()
    }

    /// Discovers resources, starts watches of new ones and ends those of gone ones. Waits until the new ones have
    /// their first list, or for half a minute. `learn` gets all resources before that, to find an owner's by its kind.
    pub async fn refresh(
        &mut self,
        tasks: &mut JoinSet<()>,
        learn: impl Fn(Vec<Discovered>),
    ) -> Result<(), crate::controllers::api::Error> {
        let deadline = Instant::now() + self.first_lists;
        loop {
            let found = discover(&self.api).await?;
            let wanted: Vec<_> = found
                .iter()
                .filter(|found| found.can(&["list", "watch", "delete"]) && !ignored(&found.resource))
                .map(|found| found.resource.clone())
                .filter(|resource| !self.shared.contains(resource))
                .collect();
            learn(found);
            self.watches.retain(|resource, watch| {
                let keep = wanted.contains(resource);
                if !keep {
                    watch.task.abort();
                }
                keep
            });
            for resource in wanted {
                if !self.watches.contains_key(&resource) {
                    let watch = self.watch(&resource, tasks);
                    self.watches.insert(resource, watch);
                }
            }
            // A dead one would be waited for until the deadline.
            let listed = tokio::select! {
                listed = self.listed(deadline) => listed,
                never = died(tasks) => match never {},
            };
            if listed {
                return Ok(());
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    fn watch(&self, resource: &Resource, tasks: &mut JoinSet<()>) -> Watch {
        let informer: Arc<Informer<Slim>> = Informer::metadata(resource);
        self.sink.tap(&informer);
        if resource.plural == "customresourcedefinitions" {
            let definitions = self.definitions.clone();
            informer.on_change(move |_, _| definitions.notify_one());
        }
        let is_late = Arc::new(AtomicBool::new(false));
        let (running, synced) = (informer.clone().run(self.api.clone()), informer.clone());
        let (definitions, late) = (self.definitions.clone(), is_late.clone());
        let task = tasks.spawn(async move {
            let tell = async {
                synced.synced().await;
                if late.load(Ordering::SeqCst) {
                    definitions.notify_one();
                }
            };
            tokio::join!(running, tell);
        });
        Watch {
            informer,
            task,
            is_late,
        }
    }

    /// Waits for first lists; who has none at the deadline is not waited for again. False if definitions have changed
    /// meanwhile: one of the resources may be gone, and then it never comes to a list.
    async fn listed(&self, deadline: Instant) -> bool {
        let waiting = || {
            let waiting = self.watches.values();
            waiting.filter(|watch| !watch.is_late.load(Ordering::SeqCst) && !watch.informer.is_synced())
        };
        while let Some(watch) = waiting().next() {
            tokio::select! {
                synced = timeout_at(deadline, watch.informer.synced()) => if synced.is_err() {
                    for late in waiting() {
                        let resource = &late.informer.resource().plural;
                        tracing::warn!(resource, "it cannot be listed, and is not waited for any more");
                        late.is_late.store(true, Ordering::SeqCst);
                    }
                },
                () = self.definitions.notified() => return false,
            }
        }
        true
    }
}
