//! ReplicaSets, and ReplicationControllers by the same code: keeps a number of pods of one template.

mod plan;
mod rank;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::api::{Api, Error, Recorder, Resource, resources};
use super::informer::{Expectations, Informer, Key, Next, Queue};
use super::model::{Pod, ReplicaSet, Time, controller_reference, index_owned};
use super::{Context, claim, owners, pods};

/// Keys worked on at once.
const WORKERS: usize = 5;

struct Controller {
    api: Api,
    recorder: Recorder,
    resource: &'static Resource,
    sets: Arc<Informer<ReplicaSet>>,
    pods: Arc<Informer<Pod>>,
    expectations: Arc<Expectations>,
    queue: Arc<Queue<Key>>,
}

/// Starts the ReplicaSet and the ReplicationController controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    start_one(
        context,
        tasks,
        "replicaset-controller",
        resources::replica_sets(),
        &context.replica_sets,
    );
    start_one(
        context,
        tasks,
        "replication-controller",
        resources::replication_controllers(),
        &context.replication_controllers,
    );
}

fn start_one(
    context: &Context,
    tasks: &mut JoinSet<()>,
    name: &'static str,
    resource: &'static Resource,
    sets: &Arc<Informer<ReplicaSet>>,
) {
    let api = context.api(name);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, name, tasks),
        api,
        resource,
        sets: sets.clone(),
        pods: context.pods.clone(),
        expectations: Arc::default(),
        queue: Queue::new(),
    });
    controller.listen();
    for _ in 0..WORKERS {
        let controller = controller.clone();
        tasks.spawn(async move {
            controller.sets.synced().await;
            controller.pods.synced().await;
            let queue = controller.queue.clone();
            queue.work(name, |key| controller.reconcile(key)).await;
        });
    }
}

impl Controller {
    fn listen(&self) {
        owners::follow(&self.sets, &self.queue, &self.expectations);
        let (queue, expectations) = (self.queue.clone(), self.expectations.clone());
        let (sets, resource) = (self.sets.clone(), self.resource);
        self.pods.on_change(move |old, new| {
            let owner = |pod: &Arc<Pod>| owner_of(resource, &sets, pod);
            match (old, new) {
                (None, Some(pod)) if pod.metadata.deleted.is_none() => {
                    if let Some(set) = owner(pod) {
                        expectations.created(&set.metadata.key());
                    }
                }
                (Some(pod), None) => {
                    if let Some(set) = owner(pod) {
                        expectations.deleted(&set.metadata.key(), &pod.metadata.uid);
                    }
                }
                (_, Some(pod)) => {
                    if let (Some(set), Some(_)) = (owner(pod), pod.metadata.deleted) {
                        expectations.deleted(&set.metadata.key(), &pod.metadata.uid);
                    }
                    became_ready(&queue, old, pod, owner(pod).as_deref());
                }
                (None, None) => {}
            }
            for pod in [old, new].into_iter().flatten() {
                if let Some(set) = owner(pod) {
                    queue.add(set.metadata.key());
                }
            }
            if let Some(pod) = new.filter(|pod| pod.metadata.controller().is_none()) {
                for set in sets.store().in_namespace(&pod.metadata.namespace) {
                    if !set.spec.selector.is_empty() && set.spec.selector.matches(&pod.metadata.labels) {
                        queue.add(set.metadata.key());
                    }
                }
            }
        });
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(set) = self.sets.store().get_key(&key) else {
            self.expectations.forget(&key);
            return Ok(Next::Wait);
        };
        // Asked before the cache is read: what arrives in between only makes the cache newer than the answer.
        let caught_up = self.expectations.satisfied(&key);
        let claims = claim::classify(&set.metadata, &set.spec.selector, self.pods.store());
        let managed = claim::claim(
            &self.api,
            (self.resource, &set.metadata),
            resources::pods(),
            claims,
            None,
        )
        .await?;
        let active: Vec<_> = managed.into_iter().filter(|pod| pod.is_active()).collect();
        let now = Time::now();
        let outcome = if caught_up && set.metadata.deleted.is_none() {
            self.adjust(&set, &active, now).await
        } else {
            Ok(())
        };
        let failure = outcome
            .as_ref()
            .err()
            .map(|(reason, error)| (*reason, error.message()));
        self.write_status(&set, &active, failure, now).await?;
        outcome.map_err(|(_, error)| error)?;
        let ready = active.iter().filter(|pod| pod.is_ready()).count();
        let available = active
            .iter()
            .filter(|pod| pod.is_available(set.spec.min_ready_seconds, now))
            .count();
        let next = if set.spec.min_ready_seconds > 0 && available < ready {
            // Nothing will tell us when a ready pod has been so for long enough.
            Next::After(Duration::from_secs(set.spec.min_ready_seconds.max(1) as u64))
        } else {
            Next::Wait
        };
        Ok(next.within(self.expectations.unseen(&key)))
    }

    async fn adjust(
        &self,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
        now: Time,
    ) -> Result<(), (&'static str, Error)> {
        let surplus = active.len() as i64 > set.replicas();
        let related = if surplus {
            self.related(set)
        } else {
            HashMap::new()
        };
        let plan = plan::plan(set, active, &related, now);
        let key = set.metadata.key();
        let victims = plan.delete.iter().map(|pod| pod.metadata.uid.clone());
        if plan.create > 0 || !plan.delete.is_empty() {
            self.expectations.expect(&key, plan.create, victims);
        }
        let owner = set.metadata.reference(self.resource);
        if plan.create > 0 {
            let body = pod_body(set, self.resource);
            pods::create(&self.api, &self.recorder, &owner, &body, plan.create, |count| {
                self.expectations.created_many(&key, count);
            })
            .await
            .map_err(|error| ("FailedCreate", error))?;
        }
        pods::delete(&self.api, &self.recorder, &owner, &plan.delete, |uid| {
            self.expectations.deleted(&key, uid);
        })
        .await
        .map_err(|error| ("FailedDelete", error))
    }

    /// Active pods per node of all sets with the same owner.
    fn related(&self, set: &ReplicaSet) -> HashMap<String, usize> {
        let siblings = match set.metadata.controller() {
            Some(owner) => self.sets.store().by_index(&index_owned(&owner.uid)),
            None => self
                .sets
                .store()
                .get_key(&set.metadata.key())
                .into_iter()
                .collect(),
        };
        let mut counts = HashMap::new();
        for sibling in siblings {
            for pod in self.pods.store().by_index(&index_owned(&sibling.metadata.uid)) {
                if pod.is_active() {
                    *counts.entry(pod.spec.node_name.clone()).or_insert(0) += 1;
                }
            }
        }
        counts
    }

    async fn write_status(
        &self,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
        failure: Option<(&str, String)>,
        now: Time,
    ) -> Result<(), Error> {
        let template = set.spec.template.value();
        let labels = serde_json::from_value(template["metadata"]["labels"].clone()).unwrap_or_default();
        let status = plan::status(set, active, &labels, failure, now);
        owners::write_status(&self.api, (self.resource, &set.metadata), &set.status, &status).await
    }
}

/// The pod that a set makes.
fn pod_body(set: &ReplicaSet, resource: &Resource) -> Value {
    pods::from_template(
        &set.spec.template.value(),
        &set.metadata.namespace,
        json!({"generateName": format!("{}-", set.metadata.name)}),
        &controller_reference(&set.metadata, resource),
    )
}

fn owner_of(resource: &Resource, sets: &Informer<ReplicaSet>, pod: &Pod) -> Option<Arc<ReplicaSet>> {
    let owner = pod
        .metadata
        .controller()
        .filter(|owner| owner.kind == resource.kind)?;
    let set = sets.store().get(&pod.metadata.namespace, &owner.name)?;
    (set.metadata.uid == owner.uid).then_some(set)
}

/// A pod that has just become ready will be available after `minReadySeconds`, without another event.
fn became_ready(queue: &Queue<Key>, old: Option<&Arc<Pod>>, pod: &Pod, set: Option<&ReplicaSet>) {
    let was_ready = old.is_some_and(|old| old.is_ready());
    if let Some(set) = set.filter(|set| set.spec.min_ready_seconds > 0)
        && !was_ready
        && pod.is_ready()
    {
        let delay = Duration::from_secs(set.spec.min_ready_seconds as u64 + 1);
        queue.add_after(set.metadata.key(), delay);
    }
}
