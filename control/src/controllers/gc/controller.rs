//! Looks at what the graph points out, and acts on live objects only.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::decide::{self, Standing, Verdict, decide};
use super::feed::{Feed, SETTLE, Sink, tap_shared};
use super::graph::{FOREGROUND, Graph, Item, Node, ORPHAN};
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, Patch, Resource};
use crate::controllers::discovery::Discovered;
use crate::controllers::informer::{Next, Queue};
use crate::controllers::model::OwnerReference;
use crate::controllers::tasks::died;

const NAME: &str = "generic-garbage-collector";
const WORKERS: usize = 8;

struct Controller {
    api: Api,
    sink: Sink,
    /// All resources of the server.
    known: RwLock<Vec<Discovered>>,
}

/// Starts the collector.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let sink = Sink {
        graph: Arc::new(Mutex::new(Graph::default())),
        queue: Queue::new(),
        quotas: context.quota_interest.clone(),
    };
    let api = context.api(NAME);
    let shared = tap_shared(context, &sink);
    let controller = Arc::new(Controller {
        api: api.clone(),
        sink: sink.clone(),
        known: RwLock::default(),
    });
    let pods = context.pods.clone();
    let sets = context.replica_sets.clone();
    tasks.spawn(async move {
        let mut feed = Feed::new(api, sink, shared);
        let mut running = JoinSet::new();
        pods.synced().await;
        sets.synced().await;
        let mut workers = 0..WORKERS;
        loop {
            let learn = |found| {
                *controller.known.write().unwrap_or_else(PoisonError::into_inner) = found;
            };
            let refreshed = feed.refresh(&mut running, learn).await;
            if refreshed.is_ok() {
                // Nothing is judged before all resources were listed once, if they can be.
                for _ in workers.by_ref() {
                    let controller = controller.clone();
                    running.spawn(async move {
                        let queue = controller.sink.queue.clone();
                        queue.work(NAME, |item| controller.look(item)).await;
                    });
                }
                // Of a new kind, objects may have come and gone before its watch began.
                let unseen = controller.sink.graph().unseen();
                for item in unseen {
                    controller.sink.queue.add(item);
                }
            }
            let pause = async {
                match refreshed {
                    Ok(()) => {
                        feed.changed().notified().await;
                        tokio::time::sleep(SETTLE).await;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "discovery failed, will retry");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            };
            tokio::select! {
                () = pause => {}
                never = died(&mut running) => match never {},
            }
        }
    });
}

impl Controller {
    async fn look(&self, item: Item) -> Result<Next, Error> {
        let result = match item {
            Item::Object(uid) => self.look_at_object(&uid).await,
            Item::Owner(owner, dependent) => self.look_for_owner(&owner, &dependent).await,
            Item::Orphan(uid) => self.orphan(&uid).await,
        };
        result.map(|()| Next::Wait)
    }

    fn node(&self, uid: &str) -> Option<Node> {
        self.sink.graph().get(uid).cloned()
    }

    /// The live object, unless another has its name now.
    async fn live(&self, node: &Node, uid: &str) -> Result<Option<Value>, Error> {
        let live = self.api.get(&node.resource, &node.namespace, &node.name).await?;
        Ok(live.filter(|live| live["metadata"]["uid"].as_str() == Some(uid)))
    }

    async fn look_at_object(&self, uid: &str) -> Result<(), Error> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        if node.foreground {
            self.continue_foreground(&node, uid).await?;
        }
        if node.deleting && node.owners.is_empty() {
            return Ok(());
        }
        let Some(live) = self.live(&node, uid).await? else {
            // Its watch will say so.
            return Ok(());
        };
        let mut standings = Vec::new();
        for owner in decide::owners(&live) {
            standings.push(self.standing(&owner, &node.namespace).await?);
        }
        let has_dependents = self.sink.graph().dependents(uid).next().is_some();
        match decide(&live, &standings, has_dependents) {
            Verdict::Keep => Ok(()),
            Verdict::SetOwners(owners) => {
                let patch = decide::patch(&live, "ownerReferences", owners);
                self.patch(&node, &patch).await
            }
            Verdict::Delete("Foreground") if self.is_in_circle(uid) && decide::unblocked(&live).is_some() => {
                let owners = decide::unblocked(&live).unwrap_or_default();
                self.patch(&node, &decide::patch(&live, "ownerReferences", owners))
                    .await?;
                self.sink.queue.add(Item::Object(uid.to_owned()));
                Ok(())
            }
            Verdict::Delete(policy) => {
                let options = json!({
                    "propagationPolicy": policy,
                    "preconditions": {"uid": uid, "resourceVersion": live["metadata"]["resourceVersion"]},
                });
                self.api
                    .delete(&node.resource, &node.namespace, &node.name, &options)
                    .await
                    .map(drop)
            }
        }
    }

    /// Whether a dependent is waiting for its own dependents: this object may be among them, and each would wait for the
    /// other. Who need not be waited for breaks the circle; upstream looks no closer either.
    fn is_in_circle(&self, uid: &str) -> bool {
        self.sink.graph().dependents(uid).any(|(_, node)| node.foreground)
    }

    /// Foreground: the dependents that block go first, then the owner may.
    async fn continue_foreground(&self, node: &Node, uid: &str) -> Result<(), Error> {
        let blocking: Vec<_> = self
            .sink
            .graph()
            .blocking(uid)
            .filter(|(_, node)| !node.foreground)
            .map(|(uid, _)| uid.clone())
            .collect();
        let any = self.sink.graph().blocking(uid).next().is_some();
        for dependent in blocking {
            self.sink.queue.add(Item::Object(dependent));
        }
        if any {
            return Ok(());
        }
        let live = self.live(node, uid).await?;
        match live.and_then(|live| decide::without_finalizer(&live, FOREGROUND)) {
            Some(patch) => self.patch(node, &patch).await,
            None => Ok(()),
        }
    }

    async fn standing(&self, owner: &OwnerReference, namespace: &str) -> Result<Standing, Error> {
        if let Some(node) = self.node(&owner.uid) {
            // A namespaced owner in another namespace does not count; nor may it count against a cluster-scoped object,
            // which such an owner cannot have: upstream reports that and never deletes for it.
            if node.namespace.is_empty() || namespace.is_empty() || node.namespace == namespace {
                let waits = node.foreground && owner.block_owner_deletion;
                return Ok(if waits { Standing::Waiting } else { Standing::Solid });
            }
            return Ok(Standing::Dangling);
        }
        Ok(if self.exists(owner, namespace).await? {
            Standing::Solid
        } else {
            Standing::Dangling
        })
    }

    async fn exists(&self, owner: &OwnerReference, namespace: &str) -> Result<bool, Error> {
        let Some(resource) = self.resource_of(owner) else {
            // Of a kind that is not served (any more): upstream waits for it to come back, and so do we.
            return Ok(true);
        };
        if resource.namespaced && namespace.is_empty() {
            return Ok(true); // a cluster-scoped object with a namespaced owner is left alone
        }
        let namespace = if resource.namespaced { namespace } else { "" };
        let live = self.api.get(&resource, namespace, &owner.name).await?;
        Ok(live.is_some_and(|live| live["metadata"]["uid"].as_str() == Some(&owner.uid)))
    }

    fn resource_of(&self, owner: &OwnerReference) -> Option<Resource> {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .find(|found| found.resource.group == group && found.resource.kind == owner.kind)?;
        Some(found.resource.clone())
    }

    /// An owner that no watch has shown: if it does not exist, all who name it are looked at.
    async fn look_for_owner(&self, owner: &OwnerReference, dependent: &str) -> Result<(), Error> {
        let Some(node) = self.node(dependent) else {
            return Ok(());
        };
        if self.node(&owner.uid).is_some() || self.exists(owner, &node.namespace).await? {
            return Ok(());
        }
        let dependents: Vec<_> = self
            .sink
            .graph()
            .dependents(&owner.uid)
            .map(|(uid, _)| Item::Object(uid.clone()))
            .collect();
        for item in dependents {
            self.sink.queue.add(item);
        }
        Ok(())
    }

    /// Takes the owner away from its dependents, then lets it go.
    async fn orphan(&self, uid: &str) -> Result<(), Error> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        let dependents: Vec<_> = self
            .sink
            .graph()
            .dependents(uid)
            .map(|(uid, node)| (uid.clone(), node.clone()))
            .collect();
        for (dependent_uid, dependent) in dependents {
            let live = self.live(&dependent, &dependent_uid).await?;
            if let Some(patch) = live.and_then(|live| decide::without_owner(&live, uid)) {
                self.patch(&dependent, &patch).await?;
            }
        }
        let live = self.live(&node, uid).await?;
        match live.and_then(|live| decide::without_finalizer(&live, ORPHAN)) {
            Some(patch) => self.patch(&node, &patch).await,
            None => Ok(()),
        }
    }

    async fn patch(&self, node: &Node, patch: &Value) -> Result<(), Error> {
        let result = self
            .api
            .patch(
                &node.resource,
                &node.namespace,
                &node.name,
                "",
                Patch::Merge,
                patch,
            )
            .await;
        match result {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
