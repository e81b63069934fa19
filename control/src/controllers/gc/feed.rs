//! Feeds the graph: by the shared informers where there is one, else by a watch of metadata.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::graph::{Graph, Item};
use crate::controllers::Context;
use crate::controllers::api::{Api, Resource};
use crate::controllers::discovery::{Discovered, discover};
use crate::controllers::informer::{Informer, Object, Queue};
use crate::controllers::model::{Meta, Shared};
use crate::controllers::resource_quota::Interest;

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
    watches: HashMap<Resource, AbortHandle>,
    /// Watches that have not had their first list yet.
    fresh: Vec<Arc<Informer<Slim>>>,
    definitions: Arc<Notify>,
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
            fresh: Vec::new(),
            definitions: Arc::new(Notify::new()),
        }
    }

    /// Resolves when custom resource definitions have changed.
    pub fn changed(&self) -> Arc<Notify> {
        self.definitions.clone()
    }

    /// Discovers resources, starts watches of new ones and ends those of gone ones. Waits until the new ones have
    /// their first list. `learn` gets all resources before that, to find an owner's by its kind.
    pub async fn refresh(
        &mut self,
        tasks: &mut JoinSet<()>,
        learn: impl FnOnce(Vec<Discovered>),
    ) -> Result<(), crate::controllers::api::Error> {
        let found = discover(&self.api).await?;
        let wanted: Vec<_> = found
            .iter()
            .filter(|found| found.can(&["list", "watch", "delete"]) && !ignored(&found.resource))
            .map(|found| found.resource.clone())
            .filter(|resource| !self.shared.contains(resource))
            .collect();
        learn(found);
        self.watches.retain(|resource, handle| {
            let keep = wanted.contains(resource);
            if !keep {
                handle.abort();
            }
            keep
        });
        self.fresh
            .retain(|informer| self.watches.contains_key(informer.resource()));
        for resource in wanted {
            if self.watches.contains_key(&resource) {
                continue;
            }
            let informer: Arc<Informer<Slim>> = Informer::metadata(&resource);
            self.sink.tap(&informer);
            if resource.plural == "customresourcedefinitions" {
                let definitions = self.definitions.clone();
                informer.on_change(move |_, _| definitions.notify_one());
            }
            let handle = tasks.spawn(informer.clone().run(self.api.clone()));
            self.watches.insert(resource, handle);
            self.fresh.push(informer);
        }
        while let Some(informer) = self.fresh.last().cloned() {
            tokio::select! {
                () = informer.synced() => drop(self.fresh.pop()),
                // Its definition may be gone, and then it never comes to a list.
                () = self.definitions.notified() => {
                    self.definitions.notify_one();
                    break;
                }
            }
        }
        Ok(())
    }
}
